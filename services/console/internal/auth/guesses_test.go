package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func TestGuesses_AtOnceAreAsMany(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := gate(t, &now, func(*Config) {})
	var group sync.WaitGroup
	var looked, refused atomic.Int64
	for range 4 * guessesMax {
		group.Go(func() {
			switch _, err := g.Password(request("192.0.2.1"), "ana", "wrong"); {
			case errors.Is(err, ErrWrong):
				looked.Add(1)
			case errors.Is(err, ErrTooOften):
				refused.Add(1)
			}
		})
	}
	group.Wait()
	if looked.Load() != guessesMax || refused.Load() != 3*guessesMax {
		t.Errorf("%d guesses were looked at and %d refused, want %d and %d", looked.Load(), refused.Load(), guessesMax, 3*guessesMax)
	}
	// Right ones wait for each other, and none is refused.
	for range 3 * guessesMax {
		group.Go(func() {
			if _, err := g.Password(request("203.0.113.1"), "sam", password); err != nil {
				t.Errorf("a right password among others gets %v", err)
			}
		})
	}
	group.Wait()
	if len(g.guesses.busy) > 0 {
		t.Errorf("%v are still looked at", g.guesses.busy)
	}
}

func TestGuesses_AreSlowedByNetworkAndName(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := gate(t, &now, func(*Config) {})
	for i := range guessesMax { // one name, many networks
		if _, err := g.Password(request(fmt.Sprintf("198.51.100.%d", i)), "ana", "wrong"); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
	}
	if _, err := g.Password(request("203.0.113.1"), "ana", password); !errors.Is(err, ErrTooOften) {
		t.Errorf("the right password after %d wrong ones: %v", guessesMax, err)
	}
	for range guessesMax { // one network, many tokens
		_, _ = g.User(request("192.0.2.9", "Authorization", "Bearer x")) // wrong
	}
	if _, err := g.User(request("192.0.2.9", "Authorization", "Bearer y")); !errors.Is(err, ErrTooOften) {
		t.Errorf("one more token after %d wrong ones: %v", guessesMax, err)
	}
	now = now.Add(guessesSpan)
	if _, err := g.Password(request("203.0.113.1"), "ana", password); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestGuesses_OfOthersLockNobodyOut(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := gate(t, &now, func(*Config) {})
	office, elsewhere := "203.0.113.1", "198.51.100.7"
	if _, err := g.Password(request(office), "ana", password); err != nil {
		t.Fatal(err)
	}
	for range guessesMax + 5 {
		_, _ = g.Password(request(elsewhere), "ana", "wrong")
		_, _ = g.Password(request(office), "sam", "wrong")
		_, _ = g.User(request(office, "Authorization", "Bearer x"))
	}
	if _, err := g.Password(request(elsewhere), "ana", password); !errors.Is(err, ErrTooOften) {
		t.Errorf("who guesses elsewhere gets %v", err)
	}
	if _, err := g.Password(request(office), "ana", password); err != nil {
		t.Errorf("who signed in here before gets %v", err)
	}
	if _, err := g.User(request(office, "Authorization", "Bearer "+bearer)); err != nil {
		t.Errorf("the right token beside wrong ones gets %v", err)
	}
	// Where ana is known, guesses at ana are slowed, too.
	for range guessesMax {
		_, _ = g.Password(request(office), "ana", "wrong")
	}
	if _, err := g.Password(request(office), "ana", password); !errors.Is(err, ErrTooOften) {
		t.Errorf("after %d wrong ones from here: %v", guessesMax, err)
	}
}

func TestGuesses_BehindATrustedProxyAreOfWhoeverItSays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, proxy, thief, other string
		want                      error // of the other
	}{
		{"behind a trusted one", "10.1.0.1", "198.51.100.7", "203.0.113.1", nil},
		{"behind two of them", "10.1.0.1", "198.51.100.7, 10.1.0.9", "203.0.113.1, 10.1.0.9", nil},
		{"the thief says to be others", "10.1.0.1", "%d.0.0.1, 198.51.100.7", "198.51.100.7", ErrTooOften},
		{"behind one that is not trusted", "10.2.0.1", "198.51.100.%d", "203.0.113.1", ErrTooOften},
		{"what is said is no address", "10.1.0.1", "198.51.100.7, x%d", "203.0.113.1, y", ErrTooOften},
	} {
		g := gate(t, &now, func(c *Config) { c.Proxy.Networks = []string{"10.1.0.0/16"} })
		for i := range guessesMax {
			said := tc.thief
			if strings.Contains(said, "%d") {
				said = fmt.Sprintf(said, i+1)
			}
			_, _ = g.User(request(tc.proxy, "X-Forwarded-For", said, "Authorization", "Bearer x")) // counted
			g.guesses.wrong(g.guesser(request(tc.proxy, "X-Forwarded-For", said)), fmt.Sprint("nobody", i))
		}
		if _, err := g.User(request(tc.proxy, "X-Forwarded-For", tc.other, "Authorization", "Bearer y")); !errors.Is(err, cmp.Or(tc.want, ErrWrong)) {
			t.Errorf("%s: the token of another person gets %v, want %v", tc.name, err, cmp.Or(tc.want, ErrWrong))
		}
		if _, err := g.Password(request(tc.proxy, "X-Forwarded-For", tc.other), "ana", password); !errors.Is(err, tc.want) {
			t.Errorf("%s: another person gets %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestGuesses_OfManyDoNotHideOne(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := newGuesses(func() time.Time { return now })
	for range guessesMax - 1 {
		g.wrong(peer(request("192.0.2.1")), "ana")
	}
	flood := func() {
		for i := range 2 * guessersMax {
			g.wrong(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "")
		}
	}
	flood()
	g.wrong(peer(request("192.0.2.2")), "ana")
	if _, ok := g.begin(peer(request("203.0.113.1")), "ana"); ok || len(g.known) > guessersMax+2 {
		t.Errorf("ana may be guessed at: %t, with %d remembered", ok, len(g.known))
	}
	now = now.Add(guessesSpan)
	flood()
	if _, ok := g.begin(peer(request("203.0.113.1")), "ana"); !ok {
		t.Error("ana is never let in again")
	}
}

func TestGuesses_OfNamesTakeAsLongWhetherThereIsOne(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, costs := range [][]int{{bcryptCostMin}, {bcryptCostMin + 1}, {bcryptCostMin, bcryptCostMin + 1}} {
		var users strings.Builder
		for i, cost := range costs {
			hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&users, "user%d:viewer:%s\n", i, hash)
		}
		g := gate(t, &now, func(c *Config) { c.Users = config.Literal(users.String()) })
		if got, err := bcrypt.Cost(g.nobody); err != nil || got != slices.Max(costs) {
			t.Errorf("users of cost %v: an unknown name costs %d, %v", costs, got, err)
		}
	}
}

func TestGuesses_AreBounded(t *testing.T) {
	t.Parallel()
	g := newGuesses(time.Now)
	for i := range guessersMax + 10 {
		g.wrong(peer(request("192.0.2.1")), fmt.Sprint(i))
		g.right(peer(request("192.0.2.1")), fmt.Sprint(i))
	}
	for i := range guessersMax + 10 {
		g.wrong(peer(request("192.0.2.1")), fmt.Sprint(i))
	}
	if len(g.known) > guessersMax+3 || len(g.homes) > homesMax {
		t.Errorf("%d and %d are remembered", len(g.known), len(g.homes))
	}
}
