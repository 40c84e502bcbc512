package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The cookies. The prefix has browsers take them from this host only, over TLS (or
// from this machine), for every path.
const (
	cookieSession = "__Host-mailstream-console"
	cookieFlow    = "__Host-mailstream-oidc"
)

// sealer encrypts and authenticates what a cookie carries.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	sum := sha256.Sum256(key)
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

// put seals v for the cookie called name, so that it is valid as no other one.
func (s sealer) put(name string, v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("seal cookie: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, []byte(name))), nil
}

// get opens what put sealed.
func (s sealer) get(name, text string, v any) error {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("open cookie: %w", err)
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return fmt.Errorf("open cookie: %w", err)
	}
	return json.Unmarshal(plain, v)
}

// session is what the cookie of a person carries.
type session struct {
	Name  string    `json:"n"`
	Named string    `json:"r"`
	Until time.Time `json:"u"`
	// Mark is that of what gave the role: see mark.
	Mark string `json:"m,omitempty"`
}

// mark tells what gives a name its role from what gives it the next: the role and password
// of the file, else the provider and the roles of its groups.
func (g *Gate) mark(name string) string {
	from := fmt.Sprintf("%q %q %q", g.cfg.OIDC.Issuer, g.cfg.OIDC.ClientID, g.cfg.OIDC.Roles) // fmt sorts a map
	if known, ok := g.users[name]; ok {
		from = fmt.Sprintf("%s %q", known.role, known.hash)
	}
	const bytes = 12 // it lies sealed in a cookie, so that it only has to differ
	sum := sha256.Sum256([]byte(from))
	return base64.RawURLEncoding.EncodeToString(sum[:bytes])
}

// session reads the cookie of a person who signed in.
func (g *Gate) session(r *http.Request) (User, error) {
	c, err := r.Cookie(cookieSession)
	if err != nil {
		return User{}, ErrNotSignedIn
	}
	var s session
	if err := g.seal.get(cookieSession, c.Value, &s); err != nil {
		return User{}, ErrExpired
	}
	role, err := ParseRole(s.Named)
	if err != nil || !g.now().Before(s.Until) {
		return User{}, ErrExpired
	}
	// Who was taken off the list, or has another role or password there, is that at once.
	if s.Mark != g.mark(s.Name) {
		return User{}, ErrExpired
	}
	if known, ok := g.users[s.Name]; ok {
		role = min(role, known.role)
	} else if g.provider == nil {
		return User{}, ErrExpired
	}
	return User{Name: s.Name, Role: role, Browser: true}, nil
}

// Over says that the browser brings a session that does not hold any more.
func (g *Gate) Over(r *http.Request) bool {
	_, err := g.session(r)
	return errors.Is(err, ErrExpired)
}

// SignIn gives the person a session.
func (g *Gate) SignIn(w http.ResponseWriter, u User) error {
	value, err := g.seal.put(cookieSession, session{Name: u.Name, Named: u.Role.String(), Until: g.now().Add(g.cfg.SessionLife), Mark: g.mark(u.Name)})
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(cookieSession, value, int(g.cfg.SessionLife.Seconds())))
	return nil
}

// SignOut ends the session in this browser.
func (g *Gate) SignOut(w http.ResponseWriter) { http.SetCookie(w, cookie(cookieSession, "", -1)) }

func cookie(name, value string, seconds int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// randomText returns a random text for states and nonces.
func randomText() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails, as documented
	return base64.RawURLEncoding.EncodeToString(b)
}
