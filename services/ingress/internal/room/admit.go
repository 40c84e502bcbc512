package room

import "time"

// shortage is what lacks where.
type shortage struct {
	share Share
	bytes bool // bytes lack, not requests
}

// err is made without the lock, see evictedBytes.
func (s shortage) err(short bool) error {
	if !short {
		return nil
	}
	return &FullError{Share: s.share, Bytes: s.bytes}
}

// admit gives n more to st, of whom others may have to make place, or says what
// lacks; r.mu is held.
func (r *Room) admit(st *Stay, n Amount) (lack shortage, short bool) {
	for range evictionsMax {
		if lack, short = r.lacks(st, n); !short {
			r.take(st, n)
			return lack, false
		}
		victim := r.victim(st, lack, n)
		if victim == nil {
			break
		}
		r.evict(victim, lack.bytes)
	}
	return lack, true
}

// lacks says which part of the room is too small for n more of st.
func (r *Room) lacks(st *Stay, n Amount) (shortage, bool) {
	own := st.held
	if st.proven {
		left := Amount{Bytes: r.all.Bytes - r.proven.Bytes, Requests: r.all.Requests - r.proven.Requests}
		most := Amount{Bytes: provenFactor * left.Bytes, Requests: provenFactor * left.Requests}
		if over, bytes := beyond(st.source.proven, own, n, most); over && r.sources > 1 {
			return shortage{OfSource, bytes}, true
		}
	} else {
		for _, part := range []struct {
			share      Share
			held, most Amount
		}{
			{UnprovenPeer, st.peer.held, r.peerMost},
			{UnprovenSource, st.source.unproven[st.class()], r.sourceMost},
			{UnknownPeers, r.unknown, r.unknownMost},
			{Unproven, r.unproven, r.unprovenMost},
		} {
			if part.share == UnprovenSource && r.sources == 1 || part.share == UnknownPeers && st.known {
				continue
			}
			if over, bytes := beyond(part.held, own, n, part.most); over {
				return shortage{part.share, bytes}, true
			}
		}
	}
	held := r.proven
	held.add(r.unproven)
	if over, bytes := beyond(held, own, n, r.all); over {
		return shortage{All, bytes}, true
	}
	return shortage{}, false
}

// manyLeave says that no more should be evicted for st before some have gone.
func (r *Room) manyLeave(st *Stay) bool {
	most := r.unprovenMost.percent(100 / leavingParts)
	if st.proven || st.known {
		most.add(most)
	}
	return r.leaving.Bytes > most.Bytes || r.leaving.Requests > most.Requests
}

// beyond says whether n more is too much, in bytes or in requests. Who is alone
// always has place: the largest body has to pass through the smallest part.
func beyond(held, own, n, most Amount) (over, bytes bool) {
	if n.Bytes > 0 && held.Bytes+n.Bytes > most.Bytes && held.Bytes > own.Bytes {
		return true, true
	}
	return n.Requests > 0 && held.Requests+n.Requests > most.Requests && held.Requests > own.Requests, false
}

// victim returns the request that has to make place for st, nil when none has to.
// Only unproven ones that are still being received do.
func (r *Room) victim(st *Stay, lack shortage, n Amount) *Stay {
	if lack.share == OfSource || r.manyLeave(st) {
		return nil
	}
	var worst *Stay
	for _, c := range r.crowds {
		switch {
		case lack.share == UnprovenPeer && c.key.peer != st.peer:
			continue
		case lack.share == UnprovenSource && (c.key.source != st.source || c.key.known != st.known):
			continue
		}
		if o := c.oldest(st, lack.bytes); o != nil && (worst == nil || goesBefore(o, worst, lack.bytes)) {
			worst = o
		}
	}
	if worst == nil || !yields(worst, st, lack.bytes, n) {
		return nil
	}
	return worst
}

// goesBefore orders requests by who has to go first: unknown peers before peers that
// have proven a request, then by what the peer holds, what the source holds, and
// age.
func goesBefore(a, b *Stay, bytes bool) bool {
	if a.known != b.known {
		return b.known
	}
	if x, y := a.peer.held.of(bytes), b.peer.held.of(bytes); x != y {
		return x > y
	}
	if x, y := a.source.holds(bytes), b.source.holds(bytes); x != y {
		return x > y
	}
	return a.entered.Before(b.entered)
}

// yields says whether victim goes so that st may have n more.
func yields(victim, st *Stay, bytes bool, n Amount) bool {
	switch {
	case st.proven || st.known && !victim.known:
		return true
	case victim.known && !st.known:
		return false
	case st.now.Sub(victim.entered) > graceAge:
		return true
	case victim.peer != st.peer:
		return victim.peer.held.of(bytes) >= st.peer.held.of(bytes)+n.of(bytes)
	default:
		return victim.source != st.source && victim.source.holds(bytes) >= st.source.holds(bytes)+n.of(bytes)
	}
}

func (a Amount) of(bytes bool) int64 {
	if bytes {
		return a.Bytes
	}
	return a.Requests
}

const (
	// knownMax bounds the peers of a source that are remembered, about 100 bytes
	// each; a provider sends from some dozens of addresses.
	knownMax = 512
	// knownAge is for how long a peer that has proven a request goes before
	// unknown peers.
	knownAge = 24 * time.Hour
)
