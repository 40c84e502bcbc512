package room

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

const kib = 1 << 10

// limits leave 2,048 KiB and 200 requests to the unproven, 1,024 KiB and 100 to a
// source of them, 512 KiB and 50 to a peer.
func limits() Limits {
	return Limits{
		Bytes: 4096 * kib, Requests: 400, UnprovenPercent: 50, SourcePercent: 50, PeerPercent: 25,
		UnknownRate: 100 << 20, RateMin: kib, RateWindow: 4 * time.Second,
	}
}

var start = time.Unix(1_767_225_600, 0)

// body counts how often it was interrupted.
type body struct{ interrupted int }

func (b *body) Interrupt() { b.interrupted++ }

// world is a room with two sources.
type world struct {
	*Room
	in   []*Stay
	t    *testing.T
	a, b *Source
	now  time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	r := New(limits())
	return &world{Room: r, t: t, a: r.Source(true), b: r.Source(true), now: start}
}

func address(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 32)
}

// enter lets a request of peer n in; peer 0 is proven.
func (w *world) enter(s *Source, n int, bytes int64) (*Stay, error) {
	st := new(Stay)
	err := w.Enter(st, Entry{Source: s, Body: new(body), Proven: n == 0, Peer: address(n), Bytes: bytes, Now: w.now})
	return st, err
}

// crowd is enter for many; whoever is evicted leaves, as the goroutine of its
// request would.
func (w *world) crowd(s *Source, n int, bytes int64) {
	if st, err := w.enter(s, n, bytes); err == nil {
		w.in = append(w.in, st)
	}
	w.settle()
}

func (w *world) settle() {
	w.in = slices.DeleteFunc(w.in, func(st *Stay) bool {
		gone := st.left
		if gone {
			st.Leave()
		}
		return gone
	})
}

// fill lets requests in until one is refused, and returns how many were taken.
func (w *world) fill(s *Source, peer func(i int) int, bytes int64) (n int, refused Share) {
	w.t.Helper()
	for i := range 10_000 {
		if _, err := w.enter(s, peer(i), bytes); err != nil {
			full, ok := errors.AsType[*FullError](err)
			if !ok {
				w.t.Fatal(err)
			}
			return i, full.Share
		}
	}
	w.t.Fatal("the room has no end")
	return 0, ""
}

func one(n int) func(int) int { return func(int) int { return n } }

func TestRoom_EverybodyHasAShare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		peer  func(int) int
		bytes int64
		want  int
		share Share
	}{
		{"bytes of a peer", one(1), 64 * kib, 8, UnprovenPeer},
		{"requests of a peer", one(1), 1, 50, UnprovenPeer},
		{"a proven source's bytes", one(0), 64 * kib, 43, OfSource},
		{"a proven source's requests", one(0), 1, 267, OfSource},
	} {
		w := newWorld(t)
		if n, share := w.fill(w.a, tt.peer, tt.bytes); n != tt.want || share != tt.share {
			t.Errorf("%s: %d requests, then %s is full; want %d and %s", tt.name, n, share, tt.want, tt.share)
		}
		if _, err := w.enter(w.b, 0, 64*kib); err != nil {
			t.Errorf("%s: a proven request of another source: %v", tt.name, err)
		}
		if _, err := w.enter(w.b, 7, 64*kib); err != nil {
			t.Errorf("%s: an unproven request of another source: %v", tt.name, err)
		}
	}
}

// TestRoom_ProvenRequestsHaveTheRest fills the room with unknown peers of any number
// of peers at all sources.
func TestRoom_ProvenRequestsHaveTheRest(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int64{1, 16 * kib, 256 * kib} {
		w := newWorld(t)
		for i := range 1000 {
			w.crowd([]*Source{w.a, w.b}[i%2], 1+i, bytes)
		}
		if _, unproven := w.Held(); unproven.Bytes > w.unprovenMost.Bytes || unproven.Requests > w.unprovenMost.Requests {
			t.Errorf("%d bytes each: unknown peers hold %+v", bytes, unproven)
		}
		n := 0
		for i := range 8 {
			if _, err := w.enter([]*Source{w.a, w.b}[i%2], 0, 350*kib); err == nil {
				n++
			}
			w.settle()
		}
		if n < 8 {
			t.Errorf("%d bytes each: %d of 8 proven requests of 350 KiB, want all", bytes, n)
		}
	}
}

func TestRoom_TheHeaviestMakesPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	heavy, err := w.enter(w.a, 1, 500*kib)
	if err != nil {
		t.Fatal(err)
	}
	light, err := w.enter(w.a, 2, 400*kib)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.enter(w.a, 3, 200*kib); err != nil {
		t.Fatalf("the third: %v", err)
	}
	if heavy.body.(*body).interrupted != 1 || light.body.(*body).interrupted != 0 {
		t.Error("another one made place than the heaviest")
	}
	full, ok := errors.AsType[*FullError](heavy.Received())
	if !ok || full.Share != Evicted || !full.Bytes {
		t.Errorf("it learns %v", full)
	}
	if err := heavy.Grow(1, w.now); err == nil {
		t.Error("it goes on growing")
	}
	if all, _ := w.Held(); all.Bytes != 1100*kib {
		t.Errorf("%d bytes are held while it has not gone", all.Bytes)
	}
	heavy.Leave()
	if all, _ := w.Held(); all != (Amount{Bytes: 600 * kib, Requests: 2}) {
		t.Errorf("%+v is held once it has gone", all)
	}
}

func TestRoom_ABurstDoesNotDriveItselfOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, _ := w.fill(w.a, one(1), 1)
	if n != 50 {
		t.Fatalf("%d requests", n)
	}
	if _, err := w.enter(w.b, 1, 1); err != nil {
		t.Errorf("its first request at another source: %v", err)
	}
	if _, err := w.enter(w.a, 1, 1); err == nil {
		t.Error("a young request was driven out by its own kind")
	}
	w.now = w.now.Add(2 * graceAge)
	if _, err := w.enter(w.a, 1, 1); err != nil {
		t.Errorf("no old one makes place: %v", err)
	}
}

func TestRoom_ReceivedRequestsStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st, err := w.enter(w.a, 1, 500*kib)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Received(); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Minute)
	if _, err := w.enter(w.a, 1, 100*kib); err == nil || st.body.(*body).interrupted > 0 {
		t.Errorf("error %v, interrupted %d times", err, st.body.(*body).interrupted)
	}
}

// TestRoom_WhoWaitsForAKeyMakesPlace: a fetch that does not end holds nothing that
// others need, and has no pace.
func TestRoom_WhoWaitsForAKeyMakesPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st, err := w.enter(w.a, 1, 500*kib)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Received(); err != nil {
		t.Fatal(err)
	}
	st.Wait()
	w.now = w.now.Add(time.Minute)
	w.sweep(w.now)
	if st.body.(*body).interrupted > 0 {
		t.Fatal("it was ended for its pace")
	}
	if _, err := w.enter(w.a, 1, 100*kib); err != nil {
		t.Errorf("no place is made: %v", err)
	}
	if err := st.Received(); err == nil {
		t.Error("it does not learn of it")
	}
	st.Prove()
	st.Leave()
	if all, _ := w.Held(); all != (Amount{Bytes: 100 * kib, Requests: 1}) {
		t.Errorf("%+v is held", all)
	}
}

func TestRoom_PeersThatHaveProvenARequestGoFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st, err := w.enter(w.a, 1, kib)
	if err != nil {
		t.Fatal(err)
	}
	st.Prove()
	st.Leave()
	known, err := w.enter(w.a, 1, 400*kib) // heavier than any other
	if err != nil || !known.Known() {
		t.Fatalf("known %v, error %v", known.Known(), err)
	}
	for i := range 500 {
		w.crowd(w.a, 10+i, 10*kib)
	}
	if known.body.(*body).interrupted > 0 {
		t.Error("unknown peers drove a known peer out")
	}
	if _, err := w.enter(w.a, 1, 100*kib); err != nil {
		t.Errorf("its next request: %v", err)
	}
	if other, err := w.enter(w.b, 1, kib); err != nil || other.Known() {
		t.Errorf("at another source it is known %v, error %v", other.Known(), err)
	}
	for i := range 3 * knownMax {
		w.a.remember(address(1000+i), start.Add(time.Duration(i)))
	}
	if len(w.a.known) > knownMax {
		t.Errorf("%d peers are remembered", len(w.a.known))
	}
	if w.a.knows(address(1000+3*knownMax-1), start.Add(2*knownAge)) {
		t.Error("a peer is known for ever")
	}
}

// TestRoom_WhoIsAloneHasPlace: the largest body passes through the smallest room.
func TestRoom_WhoIsAloneHasPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, peer := range []int{0, 1} {
		st, err := w.enter(w.a, peer, 5000*kib)
		if err != nil {
			t.Fatalf("peer %d: %v", peer, err)
		}
		if err := st.Grow(5000*kib, w.now); err != nil {
			t.Errorf("peer %d grows: %v", peer, err)
		}
		st.Leave()
	}
}

func TestRoom_LargeBodiesOfUnknownPeersHaveARate(t *testing.T) {
	t.Parallel()
	l := limits()
	l.UnknownRate = 64 * kib
	r := New(l)
	w := &world{Room: r, t: t, a: r.Source(true), b: r.Source(true), now: start}
	grow := func(s *Source, peer int) error {
		st, err := w.enter(s, peer, kib)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Leave()
		return st.Grow(100*kib, w.now)
	}
	if err := grow(w.a, 1); err != nil {
		t.Fatal(err)
	}
	full, ok := errors.AsType[*FullError](grow(w.a, 2))
	if !ok || full.Share != UnknownRate {
		t.Errorf("the second large body within its burst: %v", full)
	}
	w.a.remember(address(3), w.now)
	for _, tt := range []struct {
		s    *Source
		peer int
	}{{w.a, 0}, {w.a, 3}, {w.b, 2}} {
		for range 5 {
			if err := grow(tt.s, tt.peer); err != nil && tt.s == w.a {
				t.Errorf("peer %d, which is known: %v", tt.peer, err)
			}
		}
	}
	w.now = w.now.Add(burstSeconds * time.Second)
	if err := grow(w.a, 2); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestRoom_EndsWhatIsBelowThePace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		bytes  func(second int) int // that arrive
		ended  bool
		within time.Duration
	}{
		{"nothing", func(int) int { return 0 }, true, 5 * time.Second},
		{"at the pace", func(int) int { return kib }, false, 0},
		{"below the pace", func(int) int { return kib - 1 }, true, 5 * time.Second},
		{"in bursts", func(s int) int { return []int{4 * kib, 0, 0, 0}[s%4] }, false, 0},
		{"a megabyte, then nothing", func(s int) int { return []int{1 << 20, 0}[min(s, 1)] }, true, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				r := New(limits())
				s := r.Source(true)
				done := make(chan error, 1)
				go func() { done <- r.Run(ctx) }()
				st, b := new(Stay), new(body)
				if err := r.Enter(st, Entry{Source: s, Body: b, Peer: address(1), Bytes: kib, Now: time.Now()}); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				for second := 0; second < 30; second++ {
					st.Arrived(tt.bytes(second))
					time.Sleep(time.Second)
					synctest.Wait()
					if tt.ended && time.Since(began) >= tt.within {
						break
					}
				}
				err := st.Received()
				if ended := errors.Is(err, ErrSlow); ended != tt.ended || (b.interrupted > 0) != tt.ended {
					t.Errorf("after %s: error %v, interrupted %d times", time.Since(began), err, b.interrupted)
				}
				st.Leave()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// FuzzRoom does what comes in any order and adds up again what is held.
func FuzzRoom(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		var stays []*Stay
		for range 2000 {
			w.now = w.now.Add(time.Duration(rng.IntN(int(100 * time.Millisecond))))
			if len(stays) == 0 || rng.IntN(3) == 0 {
				if st, err := w.enter([]*Source{w.a, w.b}[rng.IntN(2)], rng.IntN(6), rng.Int64N(600*kib)); err == nil {
					stays = append(stays, st)
				}
				continue
			}
			i := rng.IntN(len(stays))
			st := stays[i]
			switch rng.IntN(7) {
			case 0:
				_ = st.Received() // whatever it says
			case 1:
				_ = st.Grow(rng.Int64N(200*kib), w.now) // the same
			case 2:
				st.Shrink(st.held.Bytes / 2)
			case 3:
				if st.Received() == nil {
					st.Prove()
				}
			case 4:
				w.sweep(w.now)
			case 5:
				if st.Received() == nil {
					st.Wait()
				}
			default:
				st.Leave()
				stays = append(stays[:i], stays[i+1:]...)
			}
			w.balance(stays)
		}
		for _, st := range stays {
			st.Leave()
		}
		w.balance(nil)
		if len(w.peers) > 0 || len(w.receiving) > 0 {
			t.Errorf("%d peers and %d bodies are left", len(w.peers), len(w.receiving))
		}
	})
}

// balance compares all sums with what the stays hold.
func (w *world) balance(stays []*Stay) {
	w.t.Helper()
	var proven, unproven, leaving Amount
	for _, st := range stays {
		switch {
		case st.left:
			leaving.add(st.held)
		case st.proven:
			proven.add(st.held)
		default:
			unproven.add(st.held)
		}
	}
	if proven != w.proven || unproven != w.unproven || leaving != w.leaving {
		w.t.Fatalf("proven %+v, unproven %+v, leaving %+v; want %+v, %+v, %+v", w.proven, w.unproven, w.leaving, proven, unproven, leaving)
	}
	bySource := w.a.proven
	bySource.add(w.b.proven)
	var byPeer Amount
	for _, p := range w.peers {
		byPeer.add(p.held)
	}
	if bySource != proven || byPeer != unproven {
		w.t.Fatalf("sources hold %+v, peers %+v; want %+v and %+v", bySource, byPeer, proven, unproven)
	}
}
