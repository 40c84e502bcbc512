package room

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Source is what the requests of one source hold. Make it with Room.Source.
type Source struct {
	room     *Room
	checked  bool
	proven   Amount    // guarded by room.mu, as all
	unproven [2]Amount // by class
	spent    int64     // of the burst of UnknownRate, bytes
	spentAt  time.Time
	known    map[netip.Prefix]time.Time // peers that have proven a request, and when
	desks    [2]chan struct{}           // see Work: by class
}

// Source adds a source to the room; checked says that bodies prove its requests,
// so that its unknown peers have a rate. All are added before the first request.
func (r *Room) Source(checked bool) *Source {
	r.sources++
	return &Source{
		room: r, checked: checked, known: map[netip.Prefix]time.Time{},
		desks: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)},
	}
}

// The classes of what is unproven.
const (
	unknown = iota
	known
)

// holds is what unproven requests of s hold.
func (s *Source) holds(bytes bool) int64 {
	return s.unproven[unknown].of(bytes) + s.unproven[known].of(bytes)
}

// spend is false where unknown peers had n bytes too many for their rate.
func (s *Source) spend(n int64, now time.Time) bool {
	rate := s.room.limits.UnknownRate
	if passed := now.Sub(s.spentAt); passed > 0 {
		s.spent = max(0, s.spent-int64(passed.Seconds()*float64(rate)))
		s.spentAt = now
	}
	if s.spent > 0 && s.spent+n > burstSeconds*rate {
		return false
	}
	s.spent += n
	return true
}

// remember notes that p has proven a request.
func (s *Source) remember(p netip.Prefix, now time.Time) {
	if _, ok := s.known[p]; !ok && len(s.known) >= knownMax {
		oldest := p
		for k, at := range s.known {
			if oldest == p || at.Before(s.known[oldest]) {
				oldest = k
			}
		}
		delete(s.known, oldest)
	}
	s.known[p] = now
}

func (s *Source) knows(p netip.Prefix, now time.Time) bool {
	at, ok := s.known[p]
	return ok && now.Sub(at) < knownAge
}

// Body is a request that can be ended.
type Body interface {
	// Interrupt ends the reading of the body and the waits of the request at once.
	// It must not block.
	Interrupt()
}

// Entry is a request that comes in.
type Entry struct {
	Source *Source
	Body   Body
	Proven bool
	Peer   netip.Prefix // of an unproven one
	Bytes  int64        // what its body takes at first
	Now    time.Time
}

// Stay is what one request holds. The zero value holds nothing. But for Arrived
// it belongs to the goroutine of its request.
type Stay struct {
	room    *Room // nil: not in
	source  *Source
	peer    *peer // nil: it came in proven
	body    Body
	held    Amount // guarded by room.mu, as what follows
	proven  bool
	known   bool // its peer has proven a request of its source
	waits   bool // for something else than its body
	left    bool // evicted: held was returned to the room
	ended   error
	index   int    // in room.receiving, -1 outside
	crowd   *crowd // nil outside, and for a proven one
	before  *Stay  // in crowd
	after   *Stay
	entered time.Time
	now     time.Time    // of the last call
	arrived atomic.Int64 // bytes of the body
	mark    int64        // of arrived, at the beginning of the window
	marked  time.Time

	interrupt sync.WaitGroup // of body, which has ended when this is done

	work chan struct{} // the desk it has, see Work; nil for none
}

// Enter takes a place for a request and its first bytes. The error is a
// *FullError, and st holds nothing then.
func (r *Room) Enter(st *Stay, e Entry) error {
	var fresh *peer // made before the lock is taken
	if !e.Proven {
		fresh = &peer{prefix: e.Peer}
	}
	r.mu.Lock()
	lack, short := r.enter(st, e, fresh)
	r.unlock()
	return lack.err(short)
}

func (r *Room) enter(st *Stay, e Entry, fresh *peer) (lack shortage, short bool) {
	st.source, st.body, st.proven, st.entered, st.now, st.marked = e.Source, e.Body, e.Proven, e.Now, e.Now, e.Now
	if !e.Proven {
		st.peer = r.peerOf(fresh)
		st.known = e.Source.knows(e.Peer, e.Now)
	}
	if lack, short = r.admit(st, Amount{Bytes: e.Bytes, Requests: 1}); short {
		if st.peer != nil {
			r.leave(st.peer)
		}
		return lack, true
	}
	st.room = r
	r.list(st)
	return shortage{}, false
}

func (st *Stay) class() int {
	if st.known {
		return known
	}
	return unknown
}

// Arrived counts n bytes of the body.
func (st *Stay) Arrived(n int) { st.arrived.Add(int64(n)) }

// Grow takes n more bytes. The error is a *FullError or ErrSlow.
func (st *Stay) Grow(n int64, now time.Time) error {
	r := st.room
	r.mu.Lock()
	if st.ended != nil {
		defer r.mu.Unlock()
		return st.ended
	}
	lack, short := r.grow(st, n, now)
	r.unlock()
	return lack.err(short)
}

func (r *Room) grow(st *Stay, n int64, now time.Time) (lack shortage, short bool) {
	st.now = now
	if st.source.checked && !st.proven && !st.known && st.held.Bytes+n > smallBytes && !st.source.spend(n, now) {
		return shortage{UnknownRate, true}, true
	}
	return r.admit(st, Amount{Bytes: n})
}

// Shrink gives n bytes back.
func (st *Stay) Shrink(n int64) {
	st.room.mu.Lock()
	defer st.room.mu.Unlock()
	less := Amount{Bytes: n}
	if st.left {
		st.room.leaving.sub(less)
	} else {
		st.room.give(st, less)
	}
	st.held.sub(less)
}

// Wait says that an unproven request waits for something else than its body: it
// may be evicted for others until the next call of Received.
func (st *Stay) Wait() {
	st.room.mu.Lock()
	defer st.room.mu.Unlock()
	if !st.proven && st.index < 0 && st.ended == nil {
		st.waits = true
		st.room.list(st)
	}
}

// Received says that the body is read, that reading it came to an end, or that a
// Wait did. From here on st is not evicted. The error says why it was ended before;
// it is interrupted no more then.
func (st *Stay) Received() error {
	st.room.mu.Lock()
	if st.index >= 0 {
		st.room.unlist(st)
	}
	ended := st.ended
	st.room.mu.Unlock()
	if ended != nil {
		st.interrupt.Wait()
	}
	return ended
}

// Prove says that the body has proven the request: it is one of the proven from
// here on, and its peer is known.
func (st *Stay) Prove() {
	r := st.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if st.proven || st.left {
		return
	}
	held := st.held
	r.give(st, held)
	st.held, st.proven = Amount{}, true
	r.take(st, held)
	st.source.remember(st.peer.prefix, st.entered)
}

// Leave gives everything back and empties st.
func (st *Stay) Leave() {
	if r := st.room; r != nil {
		st.EndWork()
		r.mu.Lock()
		if st.index >= 0 {
			r.unlist(st)
		}
		if st.left {
			r.leaving.sub(st.held)
		} else {
			r.give(st, st.held)
		}
		if st.peer != nil {
			r.leave(st.peer)
		}
		r.mu.Unlock()
		st.interrupt.Wait()
	}
	st.reset()
}

func (st *Stay) reset() {
	st.room, st.source, st.peer, st.body, st.ended = nil, nil, nil, nil, nil
	st.held, st.proven, st.known, st.left, st.index, st.mark = Amount{}, false, false, false, -1, 0
	st.waits = false
	st.arrived.Store(0)
}

// Peer returns the peer of a request that came in unproven.
func (st *Stay) Peer() netip.Prefix {
	if st.peer == nil {
		return netip.Prefix{}
	}
	return st.peer.prefix
}

// Known says whether the peer has proven a request of the source before.
func (st *Stay) Known() bool { return st.known }
