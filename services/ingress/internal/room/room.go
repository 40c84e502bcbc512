// Package room divides what the process can hold at once, requests and the bytes
// of their bodies, so that no sender takes it from others.
//
// A request is proven or not: by headers before its body is read, or by its body
// once that is there. What is unproven has a part of the room, and of that part
// one source and one peer address have parts in turn; all the rest is for proven
// requests, which also drive unproven ones out when it is full. Of the proven no
// source takes so much that nothing is left for another one.
//
// Of the unproven, peers that have proven a request lately are known, and unknown
// peers leave a part to them. Where a part is full, the request that is still being
// received and whose peer and source hold the most makes place for the one that
// comes: whoever sends its body at once is served, however many sit on half a body.
// What does not keep up with the least pace is ended whether there is place or not.
//
// It counts and decides; it does no I/O, and only Work blocks.
package room

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// Limits are what there is to divide.
type Limits struct {
	Bytes    int64 // of all bodies, as received, unpacked and indexed
	Requests int64 // being worked on

	UnprovenPercent int // of Bytes and Requests, for what is not proven
	SourcePercent   int // of that, for one source
	PeerPercent     int // of that, for one peer address

	// UnknownRate is how many bytes a second large bodies of unknown peers may take at
	// one source, as received and unpacked.
	UnknownRate int64

	// RateMin is how many bytes a second of a body have to arrive at least, counted
	// over each RateWindow.
	RateMin    int64
	RateWindow time.Duration
}

const (
	// evictionsMax bounds how many requests make place for one; each holds at least
	// a buffer's first step, so that some more would make no difference.
	evictionsMax = 256
	// graceAge is for how long a request is safe from others of its own peer at its
	// own source, so that a burst does not drive itself out.
	graceAge = 500 * time.Millisecond
	// unknownPercent of the unproven room is for unknown peers, the rest for peers that
	// are known.
	unknownPercent = 75
	// smallBytes is up to which size a body counts for no rate: it costs less than
	// the headers before it. A peer becomes known by a small webhook.
	smallBytes = 64 << 10
	// burstSeconds of UnknownRate may come at once.
	burstSeconds = 2
	// leavingParts is the part of the unproven room that evicted requests may hold
	// beside it until they have noticed, 1/leavingParts.
	leavingParts = 4
	// provenFactor is how much more than what is left one source may hold of the
	// proven room: 2 gives a source alone two thirds, two sources two fifths each.
	provenFactor = 2
	// sweepsPerWindow is how often a window is looked at.
	sweepsPerWindow = 16
	// sweepEndsMax bounds how many bodies one look ends: thousands that began to
	// stall together would keep the processors busy with their answers together.
	sweepEndsMax = 128
)

// Share is which part of the room was full: a metric label.
type Share string

// The shares.
const (
	All            Share = "all"             // everything there is
	OfSource       Share = "source"          // what proven requests of one source may hold
	Unproven       Share = "unproven"        // what is unproven, together
	UnknownPeers   Share = "strangers"       // what is unproven of peers that are not known
	UnknownRate    Share = "stranger_rate"   // bytes a second of the same, of one source
	UnprovenSource Share = "unproven_source" // the same of one source
	UnprovenPeer   Share = "unproven_peer"   // the same of one peer address
	Evicted        Share = "evicted"         // it was given to another request
	Proofs         Share = "proofs"          // the processor's, see Work
)

// Shares returns all shares.
func Shares() []Share {
	return []Share{All, OfSource, Unproven, UnknownPeers, UnknownRate, UnprovenSource, UnprovenPeer, Evicted, Proofs}
}

// FullError says that there is no place.
type FullError struct {
	Share Share
	Bytes bool // bytes lack, not requests
}

// Error names the share.
func (e *FullError) Error() string { return "no room: share " + string(e.Share) + " is full" }

// They are made once: whoever allocates may have to help the garbage collector
// first, and with the lock held everybody waits for that.
var evictedBytes, evictedRequests = FullError{Share: Evicted, Bytes: true}, FullError{Share: Evicted}

// ErrSlow says that a body did not keep up with the least pace.
var ErrSlow = errors.New("body arrives more slowly than ingress.body_rate_min")

// Amount is what a source, a peer or a share holds.
type Amount struct{ Bytes, Requests int64 }

func (a *Amount) add(n Amount) { a.Bytes += n.Bytes; a.Requests += n.Requests }
func (a *Amount) sub(n Amount) { a.Bytes -= n.Bytes; a.Requests -= n.Requests }

func (a Amount) percent(n int) Amount {
	return Amount{Bytes: a.Bytes * int64(n) / 100, Requests: max(1, a.Requests*int64(n)/100)}
}

// Room is the room of one process. It is safe for concurrent use.
type Room struct {
	limits       Limits
	all          Amount // limits as amounts
	unprovenMost Amount
	unknownMost  Amount
	sourceMost   Amount
	peerMost     Amount
	proofs       chan struct{} // places for work on what is unproven

	mu        sync.Mutex
	sources   int
	proven    Amount
	unproven  Amount
	unknown   Amount // of unproven
	leaving   Amount // evicted, and not gone yet
	peers     map[netip.Prefix]*peer
	receiving []*Stay  // whose bodies are being read, in no order
	crowds    []*crowd // of the unproven of these, in no order
	crowdOf   map[crowdKey]*crowd
	ending    *Stay // and those after it, to be interrupted once mu is free
}

// peer is what one peer address holds unproven, at all sources.
type peer struct {
	prefix netip.Prefix
	held   Amount
	stays  int // it is forgotten with the last one
}

// New returns an empty room.
func New(limits Limits) *Room {
	all := Amount{Bytes: limits.Bytes, Requests: limits.Requests}
	unproven := all.percent(limits.UnprovenPercent)
	return &Room{
		limits: limits, all: all, unprovenMost: unproven, unknownMost: unproven.percent(unknownPercent),
		sourceMost: unproven.percent(limits.SourcePercent), peerMost: unproven.percent(limits.PeerPercent),
		proofs: make(chan struct{}, proofPlaces()), peers: map[netip.Prefix]*peer{}, crowdOf: map[crowdKey]*crowd{},
	}
}

// Held returns what all requests and the unproven ones among them hold. Evicted
// ones count until they are gone.
func (r *Room) Held() (all, unproven Amount) {
	r.mu.Lock()
	defer r.mu.Unlock()
	unproven = r.unproven
	unproven.add(r.leaving)
	all = unproven
	all.add(r.proven)
	return all, unproven
}

// Run ends what is too slow until ctx is done.
func (r *Room) Run(ctx context.Context) error {
	tick := time.NewTicker(r.limits.RateWindow / sweepsPerWindow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			r.sweep(now)
		}
	}
}

// sweep ends every body of which less than RateMin a second came in a window.
func (r *Room) sweep(now time.Time) {
	least := int64(float64(r.limits.RateMin) * r.limits.RateWindow.Seconds())
	r.mu.Lock()
	defer r.unlock()
	ended := 0
	for i := len(r.receiving) - 1; i >= 0 && ended < sweepEndsMax; i-- {
		st := r.receiving[i]
		if st.waits || now.Sub(st.marked) < r.limits.RateWindow {
			continue
		}
		arrived := st.arrived.Load()
		if arrived-st.mark < least {
			r.end(st, ErrSlow)
			ended++
			continue
		}
		st.mark, st.marked = arrived, now
	}
}

// end stops the reading of st, which learns why; r.mu is held, and given back by
// unlock.
func (r *Room) end(st *Stay, why error) {
	r.unlist(st)
	st.ended = why
	st.interrupt.Add(1)
	st.after, r.ending = r.ending, st
}

// unlock gives r.mu back and then interrupts what was ended meanwhile. An interrupt
// resumes a goroutine that needs r.mu immediately: done with the lock held, each
// one adds a waiter to the queue in which every genuine request waits as well.
func (r *Room) unlock() {
	st := r.ending
	r.ending = nil
	r.mu.Unlock()
	for st != nil {
		next := st.after // before st is done, and empties itself
		st.after = nil
		st.body.Interrupt()
		st.interrupt.Done()
		st = next
	}
}

// evict takes from st what it holds, for want of bytes or of requests; r.mu is
// held.
func (r *Room) evict(st *Stay, bytes bool) {
	why := &evictedRequests
	if bytes {
		why = &evictedBytes
	}
	r.end(st, why)
	r.give(st, st.held)
	r.leaving.add(st.held)
	st.left = true
}

func (r *Room) list(st *Stay) {
	st.index = len(r.receiving)
	r.receiving = append(r.receiving, st)
	if !st.proven {
		r.join(st)
	}
}

func (r *Room) unlist(st *Stay) {
	last := len(r.receiving) - 1
	r.receiving[st.index] = r.receiving[last]
	r.receiving[st.index].index = st.index
	r.receiving[last] = nil
	r.receiving = r.receiving[:last]
	st.index = -1
	if st.crowd != nil {
		r.quit(st)
	}
}

// take adds n to what st holds, and give takes it away; r.mu is held.
func (r *Room) take(st *Stay, n Amount) {
	st.held.add(n)
	if st.proven {
		r.proven.add(n)
		st.source.proven.add(n)
		return
	}
	r.unproven.add(n)
	st.source.unproven[st.class()].add(n)
	st.peer.held.add(n)
	if !st.known {
		r.unknown.add(n)
	}
}

func (r *Room) give(st *Stay, n Amount) {
	if st.proven {
		r.proven.sub(n)
		st.source.proven.sub(n)
		return
	}
	r.unproven.sub(n)
	st.source.unproven[st.class()].sub(n)
	st.peer.held.sub(n)
	if !st.known {
		r.unknown.sub(n)
	}
}

// peerOf returns the peer of fresh's prefix, which is fresh when there is none yet.
func (r *Room) peerOf(fresh *peer) *peer {
	p := r.peers[fresh.prefix]
	if p == nil {
		p = fresh
		r.peers[p.prefix] = p
	}
	p.stays++
	return p
}

func (r *Room) leave(p *peer) {
	if p.stays--; p.stays == 0 {
		delete(r.peers, p.prefix)
	}
}
