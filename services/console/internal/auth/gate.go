package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// The reasons why a request is not let in.
var (
	ErrNotSignedIn = errors.New("nobody is signed in")
	ErrWrong       = errors.New("name and password do not belong together")
	ErrTooOften    = errors.New("too many wrong passwords: wait some minutes")
	ErrExpired     = errors.New("the session is over: sign in")
	ErrNoRole      = errors.New("the proxy says who it is, and no group of that person has a role")
	ErrHost        = errors.New("the console is not known by that name: open it at 127.0.0.1 or localhost")
)

// Gate says who makes a request.
type Gate struct {
	cfg      Config
	users    map[string]account
	tokens   []token
	proxies  []netip.Prefix
	seal     sealer
	guesses  *guesses
	provider *provider // nil without OIDC
	now      func() time.Time
	nobody   []byte // a hash to compare with, so that unknown names take as long
}

type token struct {
	sum  [sha256.Size]byte
	user User
}

// New builds the gate of a valid configuration; it connects nowhere.
func New(cfg Config, now func() time.Time) (*Gate, error) {
	users, err := parseUsers(cfg.Users.Reveal())
	if err != nil {
		return nil, err
	}
	proxies, err := prefixes(cfg.Proxy.Networks)
	if err != nil {
		return nil, err
	}
	key := []byte(cfg.SessionKey.Reveal())
	if len(key) == 0 {
		key = make([]byte, sessionKeyMin)
		_, _ = rand.Read(key) // never fails, as documented
	}
	seal, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	g := &Gate{cfg: cfg, users: users, proxies: proxies, seal: seal, guesses: newGuesses(now), now: now}
	for _, t := range cfg.Tokens {
		role, err := ParseRole(t.Role)
		if err != nil {
			return nil, err
		}
		g.tokens = append(g.tokens, token{sha256.Sum256([]byte(t.Token.Reveal())), User{Name: t.Name, Role: role}})
	}
	if len(users) > 0 {
		if g.nobody, err = bcrypt.GenerateFromPassword([]byte("nobody"), costOf(users)); err != nil {
			return nil, err
		}
	}
	if cfg.OIDC.Issuer != "" {
		g.provider = newProvider(cfg.OIDC)
	}
	return g, nil
}

// costOf is the highest cost of the hashes of users. That of nobody has it, too: where all
// have one cost, the time of an answer does not say which names there are.
func costOf(users map[string]account) int {
	cost := bcryptCostMin
	for _, u := range users {
		if c, err := bcrypt.Cost(u.hash); err == nil {
			cost = max(cost, c)
		}
	}
	return cost
}

// Proxies returns the trusted ones.
func (g *Gate) Proxies() []netip.Prefix { return g.proxies }

// Open says that everybody on this host is let in as admin.
func (g *Gate) Open() bool { return g.cfg.Open() }

// HasPasswords says whether people may sign in by a form.
func (g *Gate) HasPasswords() bool { return len(g.users) > 0 }

// HasOIDC says whether people may sign in at a provider.
func (g *Gate) HasOIDC() bool { return g.provider != nil }

// User says who makes the request, or why nobody is let in.
func (g *Gate) User(r *http.Request) (User, error) {
	if g.cfg.Open() {
		// Any web page may give its own name our address (DNS rebinding); the browser
		// then takes us for that page. Its name stays in the request.
		if !loopbackName(r.Host) {
			return User{}, ErrHost
		}
		return User{Name: "local", Role: Admin}, nil
	}
	proxied := g.fromProxy(r)
	if proxied.Role > Nobody {
		return proxied, nil
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return g.bearer(r, strings.TrimSpace(given))
	case strings.EqualFold(scheme, "Basic"):
		name, password, _ := r.BasicAuth()
		return g.Password(r, name, password)
	}
	user, err := g.session(r)
	if proxied.Name != "" && errors.Is(err, ErrNotSignedIn) {
		return proxied, ErrNoRole
	}
	return user, err
}

// loopbackName says whether a Host header names this host.
func loopbackName(host string) bool {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// fromProxy reads the headers of a trusted proxy: who it is, with no name where it says none,
// and Nobody where no group has a role.
func (g *Gate) fromProxy(r *http.Request) User {
	if len(g.proxies) == 0 || !httpserver.Within(peer(r), g.proxies) {
		return User{}
	}
	// A proxy that adds its header leaves the one of who asks before it.
	if len(r.Header.Values(g.cfg.Proxy.UserHeader)) > 1 || len(r.Header.Values(g.cfg.Proxy.GroupsHeader)) > 1 {
		return User{}
	}
	name := r.Header.Get(g.cfg.Proxy.UserHeader)
	if !plainName(name) {
		return User{}
	}
	return User{Name: name, Role: highest(strings.Split(r.Header.Get(g.cfg.Proxy.GroupsHeader), ","), g.cfg.Proxy.Roles)}
}

// personBytesMax bounds the name of a person: alerting takes no longer one of who
// acknowledges, and it is in a cookie, in headers to the services and in the audit.
const personBytesMax = 100

// plainName says whether a name of elsewhere can be shown and written down: text, without
// what breaks a line or turns the direction of writing, which would pass for another name.
func plainName(name string) bool {
	return name != "" && len(name) <= personBytesMax && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

func (g *Gate) bearer(r *http.Request, given string) (User, error) {
	// A token is too long to be guessed: a right one is let in whoever guesses beside it.
	sum := sha256.Sum256([]byte(given))
	found := -1
	for i := range g.tokens { // all of them each time, so that no position shows
		if subtle.ConstantTimeCompare(sum[:], g.tokens[i].sum[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		done, ok := g.guesses.begin(g.guesser(r), "")
		if !ok {
			return User{}, ErrTooOften
		}
		defer done()
		g.guesses.wrong(g.guesser(r), "")
		return User{}, ErrWrong
	}
	return g.tokens[found].user, nil
}

// Password checks a name and a password. After some wrong ones from one network, or
// for one name, it refuses for a while without looking. Who has signed in from a network
// before is refused there for wrong passwords of that name from there alone, so that
// nobody elsewhere can lock people out.
func (g *Gate) Password(r *http.Request, name, password string) (User, error) {
	done, ok := g.guesses.begin(g.guesser(r), name)
	if !ok {
		return User{}, ErrTooOften
	}
	defer done()
	known, ok := g.users[name]
	hash := known.hash
	if !ok {
		hash = g.nobody
	}
	if err := bcrypt.CompareHashAndPassword(hash, []byte(password)); err != nil || !ok {
		g.guesses.wrong(g.guesser(r), name)
		return User{}, ErrWrong
	}
	g.guesses.right(g.guesser(r), name)
	return User{Name: name, Role: known.role}, nil
}

func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// guesser is from where a guess comes: behind a trusted proxy, whom that says it is of.
func (g *Gate) guesser(r *http.Request) netip.Addr {
	if from, ok := httpserver.Client(r, g.proxies); ok {
		return from
	}
	return peer(r)
}
