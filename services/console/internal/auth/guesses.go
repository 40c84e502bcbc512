package auth

import (
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
	// guessersMax bounds the networks and names that are remembered. Beyond it the whole
	// list is dropped, which lets guessers start anew: 10,000 of them have other means.
	guessersMax = 10_000
	// homesMax bounds where people are remembered to have signed in from; beyond it the
	// whole list is dropped, and they are slowed like everybody else until they have again.
	homesMax = 10_000
)

// guesses slows down those who try passwords, by network and by name.
type guesses struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]*guesser // guarded by mu
	homes map[string]struct{} // networks and names of those who signed in; guarded by mu
}

type guesser struct {
	count int
	until time.Time
}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{now: now, known: map[string]*guesser{}, homes: map[string]struct{}{}}
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

func (g *guesses) blocked(from netip.Addr, name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	of := keys(from, name)
	if at := home(from, name); name != "" && g.isHome(at) {
		of = []string{at}
	}
	for _, key := range of {
		if k := g.known[key]; k != nil && g.now().Before(k.until) && k.count >= guessesMax {
			return true
		}
	}
	return false
}

func (g *guesses) isHome(key string) bool {
	_, ok := g.homes[key]
	return ok
}

func (g *guesses) wrong(from netip.Addr, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= guessersMax {
		clear(g.known)
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
