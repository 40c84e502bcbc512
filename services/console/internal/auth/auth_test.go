package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const (
	password = "a password of the tests"
	bearer   = "a-token-of-the-tests"
)

// gate makes one whose clock shows now.
func gate(t *testing.T, now *time.Time, change func(*Config)) *Gate {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCostMin)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Users = config.Literal("# people\nana:operator:" + string(hash) + "\nsam:support:" + string(hash) + "\n")
	cfg.Tokens = []Token{{Name: "report", Role: "viewer", Token: config.Literal(bearer)}}
	change(&cfg)
	var p config.Problems
	cfg.Validate(p.At("auth"))
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	g, err := New(cfg, func() time.Time { return *now })
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func request(from string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://console.example/", nil)
	r.RemoteAddr = from + ":1234"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestGate_LetsInWhoProvesItAndNobodyElse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := gate(t, &now, func(c *Config) {
		c.Proxy.Networks, c.Proxy.Roles = []string{"10.1.0.0/16", "::ffff:10.3.0.0/112"}, map[string]string{"mail-ops": "operator", "all": "viewer"}
	})
	basic := func(name, pass string) []string {
		r := request("192.0.2.1")
		r.SetBasicAuth(name, pass)
		return []string{"Authorization", r.Header.Get("Authorization")}
	}
	for name, tt := range map[string]struct {
		from    string
		headers []string
		want    string
	}{
		"nothing":                          {"192.0.2.1", nil, "no: " + ErrNotSignedIn.Error()},
		"password":                         {"192.0.2.1", basic("ana", password), "ana operator"},
		"wrong password":                   {"192.0.2.2", basic("ana", "x"), "no: " + ErrWrong.Error()},
		"unknown name":                     {"192.0.2.3", basic("eve", password), "no: " + ErrWrong.Error()},
		"token":                            {"192.0.2.1", []string{"Authorization", "Bearer " + bearer}, "report viewer"},
		"wrong token":                      {"192.0.2.4", []string{"Authorization", "Bearer x"}, "no: " + ErrWrong.Error()},
		"proxy":                            {"10.1.2.3", []string{"X-Forwarded-User", "bo", "X-Forwarded-Groups", "all, mail-ops"}, "bo operator"},
		"proxy, group unknown":             {"10.1.2.3", []string{"X-Forwarded-User", "bo", "X-Forwarded-Groups", "sales"}, "no: " + ErrNoRole.Error()},
		"proxy, no group":                  {"10.1.2.3", []string{"X-Forwarded-User", "bo"}, "no: " + ErrNoRole.Error()},
		"proxy, no group, a token":         {"10.1.2.3", []string{"X-Forwarded-User", "bo", "Authorization", "Bearer " + bearer}, "report viewer"},
		"proxy, another mapped to IPv6":    {"10.3.0.9", []string{"X-Forwarded-User", "bo", "X-Forwarded-Groups", "all"}, "bo viewer"},
		"its headers from others":          {"10.2.2.3", []string{"X-Forwarded-User", "bo", "X-Forwarded-Groups", "mail-ops"}, "no: " + ErrNotSignedIn.Error()},
		"a name before that of the proxy":  {"10.1.2.3", []string{"X-Forwarded-User", "eve", "X-Forwarded-User", "bo", "X-Forwarded-Groups", "all"}, "no: " + ErrNotSignedIn.Error()},
		"groups before those of the proxy": {"10.1.2.3", []string{"X-Forwarded-User", "bo", "X-Forwarded-Groups", "mail-ops", "X-Forwarded-Groups", "all"}, "no: " + ErrNotSignedIn.Error()},
		"a token in the cookie":            {"192.0.2.1", []string{"Cookie", cookieSession + "=" + bearer}, "no: " + ErrExpired.Error()},
		"a cookie of nobody":               {"192.0.2.1", []string{"Cookie", cookieSession + "=AAAA"}, "no: " + ErrExpired.Error()},
	} {
		u, err := g.User(request(tt.from, tt.headers...))
		got := u.Name + " " + u.Role.String()
		if err != nil {
			got = "no: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestGate_WithoutAWayInKnowsOnlyThisHostsNames(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := gate(t, &now, func(c *Config) { *c = Default() })
	for host, fine := range map[string]bool{"127.0.0.1:8088": true, "localhost:8088": true, "[::1]:8088": true, "localhost": true, "evil.example:8088": false, "127.0.0.1.evil.example": false, "": false} {
		r := request("127.0.0.1")
		r.Host = host
		if _, err := g.User(r); (err == nil) != fine {
			t.Errorf("host %q: %v, want fine %t", host, err, fine)
		}
	}
}

// cookieOf returns the session that a sign-in gives.
func cookieOf(t *testing.T, g *Gate, u User) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	if err := g.SignIn(w, u); err != nil {
		t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

func TestSession_EndsAndCannotBeChanged(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := gate(t, &now, func(*Config) {})
	c := cookieOf(t, g, User{Name: "sam", Role: Support})
	if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != int(sessionLifeUsual.Seconds()) {
		t.Errorf("cookie %+v is not bound to the host", c)
	}
	with := func(value string) error {
		_, err := g.User(request("192.0.2.1", "Cookie", c.Name+"="+value))
		return err
	}
	if err := with(c.Value); err != nil {
		t.Fatal(err)
	}
	for i := range len(c.Value) {
		changed := []byte(c.Value)
		changed[i] ^= 1
		if string(changed) != c.Value && with(string(changed)) == nil && i < len(c.Value)-1 {
			t.Errorf("byte %d may be changed", i)
		}
	}
	if u, err := g.User(request("192.0.2.1", "Cookie", pair(cookieOf(t, g, User{Name: "sam", Role: Admin})))); err != nil || u.Role != Support {
		t.Errorf("a session above the role of the list: %v %v", u.Role, err)
	}
	if _, err := g.User(request("192.0.2.1", "Cookie", pair(cookieOf(t, g, User{Name: "gone", Role: Admin})))); !errors.Is(err, ErrExpired) {
		t.Errorf("somebody off the list: %v", err)
	}
	now = now.Add(sessionLifeUsual)
	if err := with(c.Value); !errors.Is(err, ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
}

// TestSession_OfAnotherKeyIsNone has a process read what one with another key has sealed,
// and a cookie of the sign-in be brought as a session.
func TestSession_OfAnotherKeyIsNone(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	with := func(key string) *Gate {
		return gate(t, &now, func(c *Config) { c.SessionKey = config.Literal(strings.Repeat(key, sessionKeyMin)) })
	}
	ours, theirs := with("k"), with("l")
	if _, err := ours.User(request("192.0.2.1", "Cookie", pair(cookieOf(t, theirs, User{Name: "ana", Role: Operator})))); !errors.Is(err, ErrExpired) {
		t.Errorf("a session of another key: %v", err)
	}
	flowing, err := ours.seal.put(cookieFlow, session{Name: "ana", Named: "operator", Until: now.Add(time.Hour), Mark: ours.mark("ana")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.User(request("192.0.2.1", "Cookie", cookieSession+"="+flowing)); !errors.Is(err, ErrExpired) {
		t.Errorf("what was sealed for another cookie: %v", err)
	}
}

// TestNames_OfElsewhereArePlain has a proxy and a provider call people what would pass for
// another name, or be too long for a cookie.
func TestNames_OfElsewhereArePlain(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := gate(t, &now, func(c *Config) {
		c.Proxy.Networks, c.Proxy.Roles = []string{"10.1.0.0/16"}, map[string]string{"all": "viewer"}
		c.OIDC.Issuer, c.OIDC.ClientID, c.OIDC.RedirectURL, c.OIDC.Roles = "https://login.example", "console", "https://console.example/login/oidc/callback", map[string]string{"all": "viewer"}
	})
	for name, fine := range map[string]bool{
		"Zoë Ørsted": true, "<script>": true, "田中": true, "ana\u202egnid": false, "ana\u2028": false, "ana\u200b": false, "a\nb": false, "\xff": false, strings.Repeat("x", personBytesMax+1): false, "": false,
	} {
		_, err := g.User(request("10.1.2.3", "X-Forwarded-User", name, "X-Forwarded-Groups", "all"))
		if (err == nil) != fine {
			t.Errorf("the proxy says %q: %v", name, err)
		}
		want := "subject-7"
		if fine {
			want = name
		}
		if u, err := g.userOf("subject-7", map[string]any{claimName: name, "groups": "all"}); err != nil || u.Name != want {
			t.Errorf("the provider says %q: %q, %v", name, u.Name, err)
		}
	}
	hash := ":viewer:$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	for _, name := range []string{strings.Repeat("x", personBytesMax+1), "ana\u202e"} {
		var p config.Problems
		cfg := Default()
		cfg.Users, cfg.Tokens = config.Literal(name+hash), []Token{{Name: name, Role: "viewer", Token: config.Literal(bearer)}}
		if cfg.Validate(p.At("auth")); strings.Count(fmt.Sprint(p.Err()), "without control or direction") != 2 {
			t.Errorf("%q of the configuration: %v", name, p.Err())
		}
	}
	if _, err := g.userOf("a\nb", map[string]any{"groups": "all"}); err == nil {
		t.Error("a subject of two lines is let in")
	}
}

// TestSession_EndsWithItsPassword restarts the gate with the same key: a session holds as
// long as the line of its person does.
func TestSession_EndsWithItsPassword(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key := config.Literal(strings.Repeat("k", sessionKeyMin))
	lines := map[string]string{}
	for _, text := range []string{"old", "new"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(text), bcryptCostMin)
		if err != nil {
			t.Fatal(err)
		}
		lines[text] = "ana:operator:" + string(hash) + "\n"
	}
	with := func(users string, issuer string) *Gate {
		return gate(t, &now, func(c *Config) {
			c.SessionKey, c.Users = key, config.Literal(users)
			c.OIDC.Issuer, c.OIDC.ClientID, c.OIDC.RedirectURL = issuer, "console", "https://console.example/login/oidc/callback"
		})
	}
	c := pair(cookieOf(t, with(lines["old"], ""), User{Name: "ana", Role: Operator}))
	for _, tc := range []struct {
		what, users, issuer string
		want                error
	}{
		{"the same line", lines["old"], "", nil},
		{"another password", lines["new"], "", ErrExpired},
		{"no line", "sam" + lines["old"][3:], "", ErrExpired},
		{"no line, beside OpenID Connect", "sam" + lines["old"][3:], "https://login.example", ErrExpired},
	} {
		if _, err := with(tc.users, tc.issuer).User(request("192.0.2.1", "Cookie", c)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.what, err, tc.want)
		}
	}
}

// TestSession_EndsWithItsRole restarts the gate with other roles and the same key: nobody
// keeps the role of before.
func TestSession_EndsWithItsRole(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCostMin)
	if err != nil {
		t.Fatal(err)
	}
	with := func(role, issuer string, roles map[string]string) *Gate {
		return gate(t, &now, func(c *Config) {
			c.SessionKey, c.Users = config.Literal(strings.Repeat("k", sessionKeyMin)), config.Literal("ana:"+role+":"+string(hash))
			c.OIDC.Issuer, c.OIDC.ClientID, c.OIDC.RedirectURL, c.OIDC.Roles = issuer, "console", "https://console.example/login/oidc/callback", roles
		})
	}
	const issuer = "https://login.example"
	first := with("operator", issuer, map[string]string{"ops": "admin", "all": "viewer"})
	ofFile, ofProvider := pair(cookieOf(t, first, User{Name: "ana", Role: Operator})), pair(cookieOf(t, first, User{Name: "zoe", Role: Admin}))
	for _, tc := range []struct {
		what, role, issuer string
		roles              map[string]string
		file, provider     error
	}{
		{"nothing else", "operator", issuer, map[string]string{"all": "viewer", "ops": "admin"}, nil, nil},
		{"a lower role in the file", "viewer", issuer, map[string]string{"ops": "admin", "all": "viewer"}, ErrExpired, nil},
		{"a higher role in the file", "admin", issuer, map[string]string{"ops": "admin", "all": "viewer"}, ErrExpired, nil},
		{"a lower role of the group", "operator", issuer, map[string]string{"ops": "viewer", "all": "viewer"}, nil, ErrExpired},
		{"another provider", "operator", "https://other.example", map[string]string{"ops": "admin", "all": "viewer"}, nil, ErrExpired},
		{"no provider", "operator", "", map[string]string{"ops": "admin", "all": "viewer"}, nil, ErrExpired},
	} {
		g := with(tc.role, tc.issuer, tc.roles)
		if _, err := g.User(request("192.0.2.1", "Cookie", ofFile)); !errors.Is(err, tc.file) {
			t.Errorf("%s: who is in the file gets %v, want %v", tc.what, err, tc.file)
		}
		if _, err := g.User(request("192.0.2.1", "Cookie", ofProvider)); !errors.Is(err, tc.provider) {
			t.Errorf("%s: who is of the provider gets %v, want %v", tc.what, err, tc.provider)
		}
	}
}

// TestGuesses_AtOnceAreAsMany sends more guesses than may be wrong at the same moment.
// TestGuesses_OfOthersLockNobodyOut has somebody guess at the name, the network and the
// tokens of people who have signed in before.
// TestGuesses_BehindATrustedProxyAreOfWhoeverItSays has many people behind one proxy: one who
// guesses locks out nobody else, and is not let off by what they write into the header.
// TestGuesses_OfManyDoNotHideOne has wrong tokens from everywhere, which cost little, while
// somebody guesses at one name.
// TestGuesses_OfNamesTakeAsLongWhetherThereIsOne compares the work for a name of the file with
// that for another, which is what the time of an answer shows.
// TestConfig_RefusesWhatLetsNobodyInOrTheWrongOnes has settings that are read without a fault
// and then do not do what they seem to.
func TestConfig_RefusesWhatLetsNobodyInOrTheWrongOnes(t *testing.T) {
	t.Parallel()
	one := Token{Name: "report", Role: "viewer", Token: config.Literal(bearer)}
	provider := OIDC{Issuer: "https://login.example", ClientID: "console", RedirectURL: "https://console.example" + callbackPath, GroupsClaim: "groups"}
	for name, tc := range map[string]struct {
		change func(*Config)
		fault  string // "" for none
	}{
		"nothing":               {func(*Config) {}, ""},
		"users without a line":  {func(c *Config) { c.Users = config.Literal("# nobody\n\n") }, "auth.users: has no line"},
		"two tokens":            {func(c *Config) { c.Tokens = []Token{one, {"other", "admin", config.Literal("another-" + bearer)}} }, ""},
		"one token twice":       {func(c *Config) { c.Tokens = []Token{one, {"other", "admin", one.Token}} }, "tokens[1].token: is that of tokens[0]"},
		"proxy":                 {func(c *Config) { c.Proxy.Networks = []string{"10.1.0.0/16"} }, ""},
		"proxy, no header":      {func(c *Config) { c.Proxy.Networks, c.Proxy.UserHeader = []string{"10.1.0.0/16"}, "" }, "proxy.user_header"},
		"proxy, no name":        {func(c *Config) { c.Proxy.Networks, c.Proxy.UserHeader = []string{"10.1.0.0/16"}, "X User" }, "proxy.user_header"},
		"proxy, taken":          {func(c *Config) { c.Proxy.Networks, c.Proxy.GroupsHeader = []string{"10.1.0.0/16"}, "Host" }, "proxy.groups_header"},
		"proxy, one header":     {func(c *Config) { c.Proxy.Networks, c.Proxy.GroupsHeader = []string{"10.1.0.0/16"}, "x-forwarded-user" }, "proxy.groups_header: is user_header"},
		"OIDC":                  {func(c *Config) { c.OIDC = provider }, ""},
		"OIDC, no client":       {func(c *Config) { c.OIDC = provider; c.OIDC.ClientID = "" }, "oidc.client_id"},
		"OIDC, no URL":          {func(c *Config) { c.OIDC = provider; c.OIDC.Issuer = "login.example" }, "oidc.issuer"},
		"OIDC, a way elsewhere": {func(c *Config) { c.OIDC = provider; c.OIDC.RedirectURL = "https://console.example/" }, "oidc.redirect_url"},
		"OIDC, no way":          {func(c *Config) { c.OIDC = provider; c.OIDC.RedirectURL = callbackPath }, "oidc.redirect_url"},
	} {
		cfg := Default()
		tc.change(&cfg)
		var p config.Problems
		cfg.Validate(p.At("auth"))
		if err := p.Err(); (err == nil) != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%s: %v, want %q", name, err, tc.fault)
		}
	}
}

func FuzzParseUsers(f *testing.F) {
	f.Add("ana:admin:$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	f.Add("# nobody\n\n:::")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := parseUsers(text)
		for name, u := range users {
			if name == "" || u.role <= Nobody || err != nil {
				t.Errorf("%q has role %d, %v", name, u.role, err)
			}
		}
	})
}

func pair(c *http.Cookie) string { return c.Name + "=" + c.Value }
