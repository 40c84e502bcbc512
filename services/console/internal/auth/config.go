package auth

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Config is the section `console.auth`. Without any way in, everybody is admin, and
// the console listens on this host only.
type Config struct {
	// Users are who signs in with a password, a line each: name:role:bcrypt, such as
	// ana:operator:$2y$12$... (`htpasswd -nBC 12 ana` makes the hash). In a file:
	// file:/run/secrets/console-users. Default none.
	Users config.Secret `yaml:"users"`
	// Tokens let programs in (RFC 6750), up to 100. Default none.
	Tokens []Token `yaml:"tokens"`
	// Proxy trusts a proxy that has signed people in.
	Proxy Proxy `yaml:"proxy"`
	// OIDC signs people in at a provider of OpenID Connect.
	OIDC OIDC `yaml:"oidc"`
	// SessionKey seals the cookies of people who signed in, at least 32 bytes, the same
	// for all replicas. Default "": a new one at each start, which ends all sessions.
	SessionKey config.Secret `yaml:"session_key"`
	// SessionLife is how long a person stays signed in. Default 8h. Range [5m, 7d].
	SessionLife time.Duration `yaml:"session_life"`
}

// Token is a bearer token and what it may do.
type Token struct {
	// Name is who is written down as the author of changes. Required.
	Name string `yaml:"name"`
	// Role is viewer, support, operator or admin. Required.
	Role string `yaml:"role"`
	// Token is the secret, `openssl rand -hex 24` makes one. Required.
	Token config.Secret `yaml:"token"`
}

// Proxy is a reverse proxy that says who makes a request.
type Proxy struct {
	// Networks are the addresses of the proxies, such as 10.0.0.0/8, up to 100. Default
	// none: no header is trusted.
	Networks []string `yaml:"networks"`
	// UserHeader holds the name of the person. Default "X-Forwarded-User".
	UserHeader string `yaml:"user_header"`
	// GroupsHeader holds the groups of the person, comma-separated. Default
	// "X-Forwarded-Groups".
	GroupsHeader string `yaml:"groups_header"`
	// Roles gives the role of a group, such as {mail-ops: operator}; the highest one
	// counts. Default none: nobody gets in.
	Roles map[string]string `yaml:"roles"`
}

// OIDC is a provider of OpenID Connect; the code flow with PKCE is used.
type OIDC struct {
	// Issuer is the URL of the provider. Default "": not used.
	Issuer string `yaml:"issuer"`
	// ClientID is what the provider calls the console. Default "".
	ClientID string `yaml:"client_id"`
	// ClientSecret of ClientID. Default "".
	ClientSecret config.Secret `yaml:"client_secret"`
	// RedirectURL is where the provider sends people back to, the console's own
	// https://.../login/oidc/callback. Default "".
	RedirectURL string `yaml:"redirect_url"`
	// GroupsClaim is the claim that lists the groups of a person. Default "groups".
	GroupsClaim string `yaml:"groups_claim"`
	// Roles gives the role of a group; the highest one counts. Default none: nobody gets
	// in.
	Roles map[string]string `yaml:"roles"`
}

const (
	listMax          = 100 // each request compares with all tokens and networks
	sessionKeyMin    = 32
	sessionLifeMin   = 5 * time.Minute
	sessionLifeMax   = 7 * 24 * time.Hour
	bcryptCostMin    = 10 // below it, guessing a stolen hash is cheap
	usersMax         = 1_000
	secretBytesMin   = 16
	defaultUser      = "X-Forwarded-User"
	defaultGroups    = "X-Forwarded-Groups"
	defaultClaim     = "groups"
	sessionLifeUsual = 8 * time.Hour
)

// Default returns the settings of an empty section.
func Default() Config {
	return Config{
		SessionLife: sessionLifeUsual,
		Proxy:       Proxy{UserHeader: defaultUser, GroupsHeader: defaultGroups},
		OIDC:        OIDC{GroupsClaim: defaultClaim},
	}
}

// Open says that no way in is configured: whoever reaches the listener is admin.
func (c Config) Open() bool {
	return !c.Users.IsSet() && len(c.Tokens) == 0 && len(c.Proxy.Networks) == 0 && c.OIDC.Issuer == ""
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	users, err := parseUsers(c.Users.Reveal())
	p.Check(err == nil, "users", "%v", err)
	p.Check(err != nil || len(users) > 0 || !c.Users.IsSet(), "users", "has no line name:role:bcrypt, so nobody could sign in by it")
	p.Check(len(c.Tokens) <= listMax, "tokens", "%d of them, want at most %d", len(c.Tokens), listMax)
	for i, t := range c.Tokens {
		at := p.At(fmt.Sprintf("tokens[%d]", i))
		at.Check(t.Name != "", "name", "is empty")
		at.Check(t.Name == "" || plainName(t.Name), "name", "%.40q is not a text of at most %d bytes without control or direction characters", t.Name, personBytesMax)
		_, err := ParseRole(t.Role)
		at.Check(err == nil, "role", "%v", err)
		same := slices.IndexFunc(c.Tokens, func(other Token) bool { return other.Token.Reveal() == t.Token.Reveal() })
		at.Check(same == i, "token", "is that of tokens[%d], too: a program has one name and role", same)
		at.Check(len(t.Token.Reveal()) >= secretBytesMin, "token", "has %d bytes, want at least %d (`openssl rand -hex 24` makes one)", len(t.Token.Reveal()), secretBytesMin)
	}
	c.Proxy.validate(p.At("proxy"))
	c.OIDC.validate(p.At("oidc"))
	n := len(c.SessionKey.Reveal())
	p.Check(n == 0 || n >= sessionKeyMin, "session_key", "has %d bytes, want at least %d", n, sessionKeyMin)
	p.Check(c.SessionLife >= sessionLifeMin && c.SessionLife <= sessionLifeMax, "session_life", "%s is not in [%s, %s]", c.SessionLife, sessionLifeMin, sessionLifeMax)
}

func (c Proxy) validate(p *config.Problems) {
	_, err := prefixes(c.Networks)
	p.Check(err == nil, "networks", "%v", err)
	p.Check(len(c.Networks) <= listMax, "networks", "%d of them, want at most %d", len(c.Networks), listMax)
	checkRoles(c.Roles, "roles", p)
	if len(c.Networks) == 0 {
		return
	}
	for field, name := range map[string]string{"user_header": c.UserHeader, "groups_header": c.GroupsHeader} {
		p.Check(headerForm.MatchString(name) && !slices.Contains(headersTaken, strings.ToLower(name)), field, "%.40q is not the name of a header that a proxy can add", name)
	}
	p.Check(!strings.EqualFold(c.UserHeader, c.GroupsHeader), "groups_header", "is user_header, too: the name of a person would be a group")
}

// headerForm is the name of a header (RFC 9110, 5.6.2). Those taken have another meaning.
var (
	headerForm   = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	headersTaken = []string{"host", "authorization", "cookie", "accept", "content-type", "content-length", "x-forwarded-for"}
)

// callbackPath is where the provider sends people back to.
const callbackPath = "/login/oidc/callback"

func (c OIDC) validate(p *config.Problems) {
	checkRoles(c.Roles, "roles", p)
	if c.Issuer == "" {
		return
	}
	p.Check(c.ClientID != "", "client_id", "is empty")
	issuer, err := url.Parse(c.Issuer)
	p.Check(err == nil && isWeb(issuer), "issuer", "%.60q is not an http or https URL", c.Issuer)
	back, err := url.Parse(c.RedirectURL)
	p.Check(err == nil && isWeb(back) && back.Path == callbackPath, "redirect_url", "%.60q is not the https URL of the console with the path %s", c.RedirectURL, callbackPath)
	p.Check(c.GroupsClaim != "", "groups_claim", "is empty")
}

func isWeb(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" }

func checkRoles(roles map[string]string, field string, p *config.Problems) {
	for group, name := range roles {
		_, err := ParseRole(name)
		p.Check(err == nil, field, "group %q: %v", group, err)
	}
}

// account is one line of Config.Users.
type account struct {
	hash []byte
	role Role
}

// parseUsers reads lines of name:role:bcrypt; blank ones and those after # are left out.
func parseUsers(text string) (map[string]account, error) {
	users := map[string]account{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, ":")
		roleName, hash, ok := strings.Cut(rest, ":")
		role, err := ParseRole(roleName)
		if ok && err == nil && name != "" && !plainName(name) {
			return nil, fmt.Errorf("line %d has a name that is not a text of at most %d bytes without control or direction characters", number, personBytesMax)
		}
		if !ok || name == "" || err != nil {
			return nil, fmt.Errorf("line %d is not name:role:bcrypt with a role of viewer, support, operator or admin", number)
		}
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil || cost < bcryptCostMin {
			return nil, fmt.Errorf("line %d has no bcrypt hash of cost %d or more: `htpasswd -nBC 12 NAME` makes one", number, bcryptCostMin)
		}
		if _, twice := users[name]; twice || len(users) == usersMax {
			return nil, fmt.Errorf("line %d: the name is there already, or it is beyond %d users", number, usersMax)
		}
		users[name] = account{[]byte(hash), role}
	}
	return users, nil
}

func prefixes(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.0.0.0/8", text)
		}
		if bits := p.Bits() - mappedBits; bits >= 0 && p.Addr().Is4In6() {
			p = netip.PrefixFrom(p.Addr().Unmap(), bits)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// mappedBits precede an IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section
// 2.5.5.2); peers are compared without them.
const mappedBits = 96

// highest returns the highest role that one of the groups has.
func highest(groups []string, roles map[string]string) Role {
	best := Nobody
	for _, g := range groups {
		if r, err := ParseRole(roles[strings.TrimSpace(g)]); err == nil {
			best = max(best, r)
		}
	}
	return best
}
