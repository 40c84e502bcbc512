package auth

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

const (
	// guessesMax is how many wrong passwords a network, or a name, has before it waits.
	guessesMax = 10
	// guessesSpan is after which they are forgotten.
	guessesSpan = 5 * time.Minute
	// guessersMax bounds the networks and names that are remembered. Beyond it those with the
	// fewest wrong passwords are dropped: what many send once from everywhere lets nobody
	// start anew who has guessed more.
	guessersMax = 10_000
	// homesMax bounds where people are remembered to have signed in from; beyond it the
	// whole list is dropped, and they are slowed like everybody else until they have again.
	homesMax = 10_000
)

// guesses slows down those who try passwords, by network and by name.
type guesses struct {
	now func() time.Time

	mu    sync.Mutex
	ended sync.Cond           // a guess has been looked at; its lock is mu
	known map[string]*guesser // guarded by mu
	busy  map[string]int      // guesses that are being looked at, which may be wrong; guarded by mu
	homes map[string]struct{} // networks and names of those who signed in; guarded by mu
}

type guesser struct {
	count int
	until time.Time
}

func newGuesses(now func() time.Time) *guesses {
	g := &guesses{now: now, known: map[string]*guesser{}, busy: map[string]int{}, homes: map[string]struct{}{}}
	g.ended.L = &g.mu
	return g
}

// nameBytesMax bounds what is kept of a name: it is of who guesses.
const nameBytesMax = 100

// home is the key of a name at a network.
func home(from netip.Addr, name string) string {
	return "home " + httpserver.Network(from).String() + " " + name[:min(len(name), nameBytesMax)]
}

// keys are what a guess counts for: a network, or what kind of secret and network, and a
// name. Tokens have no name, and their guesses do not slow passwords.
func keys(from netip.Addr, name string) []string {
	if name == "" {
		return []string{"token " + httpserver.Network(from).String()}
	}
	return []string{"net " + httpserver.Network(from).String(), "name " + name[:min(len(name), nameBytesMax)]}
}

// begin waits until a guess may be looked at, and says false where there were too many
// wrong ones. Guesses that come at once wait for each other: no more are looked at than
// may be wrong. Whoever may go on calls done.
func (g *guesses) begin(from netip.Addr, name string) (done func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		of := keys(from, name)
		if at := home(from, name); name != "" && g.isHome(at) {
			of = []string{at}
		}
		most, wrong := 0, 0
		for _, key := range of {
			count := 0
			if k := g.known[key]; k != nil && g.now().Before(k.until) {
				count = k.count
			}
			wrong, most = max(wrong, count), max(most, count+g.busy[key])
		}
		switch {
		case wrong >= guessesMax:
			return nil, false
		case most < guessesMax:
			for _, key := range of {
				g.busy[key]++
			}
			return func() { g.end(of) }, true
		}
		g.ended.Wait()
	}
}

// end has those who wait look again.
func (g *guesses) end(of []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, key := range of {
		if g.busy[key]--; g.busy[key] == 0 {
			delete(g.busy, key)
		}
	}
	g.ended.Broadcast()
}

func (g *guesses) isHome(key string) bool {
	_, ok := g.homes[key]
	return ok
}

func (g *guesses) wrong(from netip.Addr, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for fewest := 0; len(g.known) >= guessersMax; fewest++ { // at first only those that are forgotten
		maps.DeleteFunc(g.known, func(_ string, k *guesser) bool { return k.count <= fewest || !g.now().Before(k.until) })
	}
	of := keys(from, name)
	if at := home(from, name); name != "" && g.isHome(at) {
		of = append(of, at)
	}
	for _, key := range of {
		k := g.known[key]
		if k == nil || !g.now().Before(k.until) {
			k = &guesser{}
			g.known[key] = k
		}
		k.count++
		k.until = g.now().Add(guessesSpan)
	}
}

func (g *guesses) right(from netip.Addr, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.homes) >= homesMax {
		clear(g.homes)
	}
	at := home(from, name)
	g.homes[at] = struct{}{}
	for _, key := range append(keys(from, name), at) {
		delete(g.known, key)
	}
}
