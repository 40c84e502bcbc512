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
)

// guesses slows down those who try passwords, by network and by name.
type guesses struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]*guesser // guarded by mu
}

type guesser struct {
	count int
	until time.Time
}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{now: now, known: map[string]*guesser{}}
}

func keys(from netip.Addr, name string) []string {
	list := []string{"net " + httpserver.Network(from).String()}
	if name != "" {
		list = append(list, "name "+name[:min(len(name), 100)])
	}
	return list
}

func (g *guesses) blocked(from netip.Addr, name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, key := range keys(from, name) {
		if k := g.known[key]; k != nil && g.now().Before(k.until) && k.count >= guessesMax {
			return true
		}
	}
	return false
}

func (g *guesses) wrong(from netip.Addr, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= guessersMax {
		clear(g.known)
	}
	for _, key := range keys(from, name) {
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
	for _, key := range keys(from, name) {
		delete(g.known, key)
	}
}
