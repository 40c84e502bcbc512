package auth

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func secrets(values ...string) Secrets {
	var s Secrets
	for _, v := range values {
		s = append(s, config.Literal(v))
	}
	return s
}

func basicHeader(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func TestGuard_LetsOnlyTheRightSecretsIn(t *testing.T) {
	t.Parallel()
	basicAuth := Config{Basic: &Basic{Username: "hook", Password: secrets("old", "new")}}
	bearerAuth := Config{Bearer: secrets("token-1", "token-2")}
	headerAuth := Config{Header: &Named{Name: "X-Hook-Token", Value: secrets("tok")}}
	queryAuth := Config{Query: &Named{Name: "key", Value: secrets("tok")}}
	pathAuth := Config{Path: secrets("tok")}
	both := Config{Basic: basicAuth.Basic, Path: pathAuth.Path}
	for _, tt := range []struct {
		name   string
		cfg    Config
		target string
		header map[string]string
		path   string
		want   bool
	}{
		{"basic, first password", basicAuth, "/", map[string]string{"Authorization": basicHeader("hook:old")}, "", true},
		{"basic, second password", basicAuth, "/", map[string]string{"Authorization": basicHeader("hook:new")}, "", true},
		{"basic, scheme in small letters", basicAuth, "/", map[string]string{"Authorization": strings.Replace(basicHeader("hook:new"), "Basic", "basic", 1)}, "", true},
		{"basic, wrong password", basicAuth, "/", map[string]string{"Authorization": basicHeader("hook:wrong")}, "", false},
		{"basic, prefix of the password", basicAuth, "/", map[string]string{"Authorization": basicHeader("hook:ne")}, "", false},
		{"basic, wrong user", basicAuth, "/", map[string]string{"Authorization": basicHeader("hook2:new")}, "", false},
		{"basic, empty", basicAuth, "/", map[string]string{"Authorization": basicHeader(":")}, "", false},
		{"basic, not base64", basicAuth, "/", map[string]string{"Authorization": "Basic !!!"}, "", false},
		{"basic, with a NUL behind it", basicAuth, "/", map[string]string{"Authorization": basicHeader("hook:new") + "\x00"}, "", false},
		{"basic, long password", Config{Basic: &Basic{Username: "hook", Password: secrets(strings.Repeat("p", 500))}}, "/",
			map[string]string{"Authorization": basicHeader("hook:" + strings.Repeat("p", 500))}, "", true},
		{"basic, no header", basicAuth, "/", nil, "", false},
		{"basic, as bearer", basicAuth, "/", map[string]string{"Authorization": "Bearer new"}, "", false},
		{"basic, very long", basicAuth, "/", map[string]string{"Authorization": basicHeader("hook:" + strings.Repeat("x", 4000))}, "", false},
		{"bearer", bearerAuth, "/", map[string]string{"Authorization": "Bearer token-2"}, "", true},
		{"bearer, wrong", bearerAuth, "/", map[string]string{"Authorization": "Bearer token-3"}, "", false},
		{"bearer, empty", bearerAuth, "/", map[string]string{"Authorization": "Bearer "}, "", false},
		{"bearer, as basic", bearerAuth, "/", map[string]string{"Authorization": "Basic token-1"}, "", false},
		{"header", headerAuth, "/", map[string]string{"x-hook-token": "tok"}, "", true},
		{"header, wrong", headerAuth, "/", map[string]string{"x-hook-token": "to"}, "", false},
		{"header, missing", headerAuth, "/", nil, "", false},
		{"query", queryAuth, "/?key=tok", nil, "", true},
		{"query, wrong", queryAuth, "/?key=t", nil, "", false},
		{"query, twice", queryAuth, "/?key=x&key=tok", nil, "", false},
		{"path", pathAuth, "/", nil, "tok", true},
		{"path, wrong", pathAuth, "/", nil, "tok/", false},
		{"path, missing", pathAuth, "/", nil, "", false},
		{"both", both, "/", map[string]string{"Authorization": basicHeader("hook:new")}, "tok", true},
		{"one of both", both, "/", map[string]string{"Authorization": basicHeader("hook:new")}, "", false},
		{"the other of both", both, "/", nil, "tok", false},
		{"none", Config{None: true}, "/", nil, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, tt.target, nil)
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			if got := New(tt.cfg, Options{}).VerifyHeaders(&Request{Request: r, PathSecret: tt.path}) == Proven; got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestGuard_SaysWhyForTheOperator(t *testing.T) {
	t.Parallel()
	afar, err := ParsePrefixes([]string{"203.0.113.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	basicAuth := Config{Basic: &Basic{Username: "hook", Password: secrets("new")}}
	both := Config{Basic: basicAuth.Basic, Path: secrets("tok")}
	for _, tt := range []struct {
		name   string
		cfg    Config
		opt    Options
		target string
		header string // of Authorization
		path   string
		want   Proof
	}{
		{"no password", basicAuth, Options{}, "/", "", "", NoCredentials},
		{"a wrong password", basicAuth, Options{}, "/", basicHeader("hook:old"), "", WrongCredentials},
		{"a token for a password", basicAuth, Options{}, "/", "Bearer new", "", WrongCredentials},
		{"no token", Config{Bearer: secrets("tok")}, Options{}, "/", "", "", NoCredentials},
		{"an empty token", Config{Bearer: secrets("tok")}, Options{}, "/", "Bearer ", "", WrongCredentials},
		{"no header", Config{Header: &Named{Name: "X-Key", Value: secrets("tok")}}, Options{}, "/", "", "", NoCredentials},
		{"no parameter", Config{Query: &Named{Name: "key", Value: secrets("tok")}}, Options{}, "/?x=y", "", "", NoCredentials},
		{"a parameter twice", Config{Query: &Named{Name: "key", Value: secrets("tok")}}, Options{}, "/?key=tok&key=tok", "", "", WrongCredentials},
		{"no path", Config{Path: secrets("tok")}, Options{}, "/", "", "", NoCredentials},
		{"a wrong path", Config{Path: secrets("tok")}, Options{}, "/", "", "x", WrongCredentials},
		{"one of two", both, Options{}, "/", basicHeader("hook:new"), "", NoCredentials},
		{"one wrong, one missing", both, Options{}, "/", "", "x", WrongCredentials},
		{"another address", basicAuth, Options{AllowFrom: afar}, "/", basicHeader("hook:new"), "", ForeignAddress},
		{"all", both, Options{}, "/", basicHeader("hook:new"), "tok", Proven},
	} {
		r := httptest.NewRequest(http.MethodPost, tt.target, nil)
		if tt.header != "" {
			r.Header.Set("Authorization", tt.header)
		}
		if got := New(tt.cfg, tt.opt).VerifyHeaders(&Request{Request: r, PathSecret: tt.path}); got != tt.want {
			t.Errorf("%s: proof %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestGuard_AllowsAddressesBehindTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	prefixes := func(list ...string) (o Options) {
		var err error
		if o.AllowFrom, err = ParsePrefixes([]string{"203.0.113.0/24", "2001:db8::/32", "::ffff:192.0.2.128/121", "fe80::/10"}); err != nil {
			t.Fatal(err)
		}
		if o.TrustedProxies, err = ParsePrefixes(list); err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		proxies    []string
		want       bool
	}{
		{"direct", "203.0.113.7:4711", nil, nil, true},
		{"direct, IPv6", "[2001:db8::7]:4711", nil, nil, true},
		{"direct, mapped", "[::ffff:203.0.113.7]:4711", nil, nil, true},
		{"direct, in a mapped block", "192.0.2.200:4711", nil, nil, true},
		{"direct, before a mapped block", "192.0.2.7:4711", nil, nil, false},
		{"direct, with a zone", "[fe80::7%eth0]:4711", nil, nil, true},
		{"direct, elsewhere", "198.51.100.7:4711", nil, nil, false},
		{"claimed, no proxy", "198.51.100.7:4711", []string{"203.0.113.7"}, nil, false},
		{"through a proxy", "10.0.0.1:4711", []string{"203.0.113.7"}, []string{"10.0.0.0/8"}, true},
		{"through two", "10.0.0.1:4711", []string{"203.0.113.7, 10.0.0.2"}, []string{"10.0.0.0/8"}, true},
		{"two headers", "10.0.0.1:4711", []string{"203.0.113.7", "10.0.0.2"}, []string{"10.0.0.0/8"}, true},
		{"claimed through a proxy", "10.0.0.1:4711", []string{"203.0.113.7, 198.51.100.7"}, []string{"10.0.0.0/8"}, false},
		{"a proxy that is not ours", "10.0.0.1:4711", []string{"203.0.113.7, 192.0.2.1"}, []string{"10.0.0.0/8"}, false},
		{"garbage", "10.0.0.1:4711", []string{"203.0.113.7, unknown"}, []string{"10.0.0.0/8"}, false},
		{"with a port", "10.0.0.1:4711", []string{"203.0.113.7:99"}, []string{"10.0.0.0/8"}, true},
		{"endless", "10.0.0.1:4711", []string{strings.Repeat("10.0.0.2,", 1000) + "203.0.113.7"}, []string{"10.0.0.0/8"}, true},
		{"endless, nested", "10.0.0.1:4711", []string{"203.0.113.7" + strings.Repeat(",10.0.0.2", 1000)}, []string{"10.0.0.0/8"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.RemoteAddr = tt.peer
			for _, f := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if got := New(Config{None: true}, prefixes(tt.proxies...)).VerifyHeaders(&Request{Request: r}) == Proven; got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzGuard(f *testing.F) {
	f.Add("203.0.113.7, 10.0.0.1", basicHeader("hook:new"))
	f.Add(",,,", "Basic")
	f.Add("[::1]:80", "basic  =")
	proxies, err := ParsePrefixes([]string{"192.0.2.0/24"})
	if err != nil {
		f.Fatal(err)
	}
	allowed, err := ParsePrefixes([]string{"203.0.113.0/24"})
	if err != nil {
		f.Fatal(err)
	}
	g := New(Config{Basic: &Basic{Username: "hook", Password: secrets("new")}}, Options{AllowFrom: allowed, TrustedProxies: proxies})
	f.Fuzz(func(t *testing.T, forwarded, authorization string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil) // from 192.0.2.1
		r.Header["X-Forwarded-For"] = []string{forwarded}
		r.Header["Authorization"] = []string{authorization}
		if g.VerifyHeaders(&Request{Request: r}) != Proven {
			return
		}
		if _, pass, ok := r.BasicAuth(); !ok || pass != "new" || !strings.Contains(forwarded, "203.0.113.") {
			t.Errorf("let in: %q from %q", authorization, forwarded)
		}
	})
}

func TestConfig_ReadsTheShapesOfTheContract(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		ok         bool
		faults     string // contained in the faults; "" for none
		provider   string
	}{
		{"none", `none`, true, "", "mailjet"},
		{"another word", `open`, false, "", "mailjet"},
		{"basic", `basic: {username: hook, password: pw}`, true, "", "mailjet"},
		{"basic with two passwords", `basic: {username: hook, password: [pw, env:NEW]}`, true, "", "mailjet"},
		{"basic without password", `basic: {username: hook}`, true, "basic.password", "mailjet"},
		{"basic without user", `basic: {password: pw}`, true, "basic.username", "mailjet"},
		{"bearer", `bearer: [a, b]`, true, "", "mailjet"},
		{"one bearer", `bearer: a`, true, "", "mailjet"},
		{"one bearer with a tag", `bearer: !!str 123`, true, "", "mailjet"},
		{"no bearer", `bearer: {a: b}`, false, "", "mailjet"},
		{"header", `header: {name: X-T, value: v}`, true, "", "mailjet"},
		{"header without name", `header: {value: v}`, true, "header.name", "mailjet"},
		{"basic and bearer", "bearer: b\nbasic: {username: u, password: p}", true, "bearer: cannot be beside basic", "mailjet"},
		{"path and basic", "path: [p]\nbasic: {username: u, password: p}", true, "", "mailjet"},
		{"empty", `{}`, true, "is missing", "mailjet"},
		{"signing keys", `signing_keys: [k]`, true, "", "mailgun"},
		{"signing keys of a provider that signs nothing", `signing_keys: [k]`, true, "signs nothing", "mailjet"},
		{"signing keys and a window", `{signing_keys: [k], replay_window: 1h}`, true, "", "mailgun"},
		{"window of one that signs no time", `{signing_keys: [k], replay_window: 1h}`, true, "replay_window: must be empty: provider mailtrap", "mailtrap"},
		{"window alone", `{basic: {username: u, password: p}, replay_window: 1h}`, true, "replay_window: this provider signs nothing", "mailjet"},
		{"signature and password", `{basic: {username: u, password: p}, signing_keys: [k]}`, true, "", "mailtrap"},
		{"password alone of one that could sign", `{basic: {username: u, password: p}}`, true, "", "sendgrid"},
		{"sns", `sns: {topic_arns: ["arn:aws:sns:eu-west-1:123456789012:ses-events"]}`, true, "", "ses"},
		{"sns without topics", `sns: {refuse_version_1: true}`, true, "sns.topic_arns: is missing", "ses"},
		{"sns of another", `sns: {topic_arns: ["arn:aws:sns:eu-west-1:123456789012:ses-events"]}`, true, "sns: must be empty: provider mailgun", "mailgun"},
		{"unknown field of sns", `sns: {topics: [x]}`, false, "", "ses"},
		{"mandrill without its URL", `signing_keys: [k]`, true, "public_url: is missing", "mandrill"},
		{"key set", `jwks_url: https://postal.example.com/.well-known/jwks.json`, true, "", "postal"},
		{"generic", `{signing_keys: [k], signature: {algorithm: hmac-sha256, header: X-Signature}}`, true, "", "generic"},
		{"generic without a description", `signing_keys: [k]`, true, "signature: is missing", "generic"},
		{"unknown scheme", `magic: [k]`, false, "", "mailjet"},
		{"unknown field", `basic: {username: u, password: p, realm: r}`, false, "", "mailjet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c Config
			err := config.Decode("auth", []byte(tt.text), &c)
			if (err == nil) != tt.ok {
				t.Fatalf("error %v, want ok %v", err, tt.ok)
			}
			if err != nil {
				return
			}
			// Secrets get their values when the whole configuration is loaded.
			resolved := func(s Secrets) Secrets {
				for i := range s {
					s[i] = config.Literal("value")
				}
				return s
			}
			c.Bearer, c.Path, c.SigningKeys = resolved(c.Bearer), resolved(c.Path), resolved(c.SigningKeys)
			if c.Basic != nil {
				c.Basic.Password = resolved(c.Basic.Password)
			}
			if c.Header != nil {
				c.Header.Value = resolved(c.Header.Value)
			}
			var p config.Problems
			c.Validate(&p, tt.provider)
			got := fmt.Sprint(p.Err())
			if tt.faults == "" && p.Err() != nil || tt.faults != "" && !strings.Contains(got, tt.faults) {
				t.Errorf("faults %s, want %q", got, tt.faults)
			}
		})
	}
}

func TestConfig_NeverPrintsASecret(t *testing.T) {
	t.Parallel()
	const secret = "open-sesame"
	publicURL := config.Literal("https://u:" + secret + "@hooks.example.com/")
	c := Config{
		Basic: &Basic{Username: "hook", Password: secrets(secret)}, Bearer: secrets(secret), Path: secrets(secret),
		SigningKeys: secrets(secret), PublicURL: &publicURL,
	}
	out, err := config.Print(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{out, fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c.Basic)} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is shown: %s", text)
		}
	}
	if text := out; !strings.Contains(text, "username: hook") || !strings.Contains(text, "public_url: <set>") || strings.Contains(text, "sns") {
		t.Errorf("printed %s", out)
	}
	if out, err := config.Print(Config{None: true}); err != nil || strings.TrimSpace(out) != "none" {
		t.Errorf("none prints as %q, %v", out, err)
	}
	if out, err := config.Print(Config{Bearer: secrets(secret)}); err != nil || strings.TrimSpace(out) != "bearer:\n- <set>" {
		t.Errorf("a token alone prints as %q, %v", out, err)
	}
	var bad Config
	err = config.Decode("auth", []byte("basic: {username: u, passwort: "+secret+"}"), &bad)
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkBasic(b *testing.B) {
	g := New(Config{Basic: &Basic{Username: "hook", Password: secrets("old", "new")}}, Options{})
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Authorization", basicHeader("hook:new"))
	b.ReportAllocs()
	for b.Loop() {
		if g.VerifyHeaders(&Request{Request: r}) != Proven {
			b.Fatal("refused")
		}
	}
}

func TestGuard_TellsPeersAndWhatProves(t *testing.T) {
	t.Parallel()
	secret := Secrets{config.Literal("s")}
	signed := Config{SigningKeys: secret}
	from := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, tt := range []struct {
		name           string
		cfg            Config
		from           []netip.Prefix
		proves, signed bool
	}{
		{"a secret", Config{Bearer: secret}, nil, true, false},
		{"a signature", signed, nil, false, true},
		{"a signature and addresses", signed, from, false, true},
		{"a signature and a secret", Config{SigningKeys: secret, Path: secret}, nil, true, true},
		{"addresses alone", Config{None: true}, from, true, false},
		{"nothing", Config{None: true}, nil, false, false},
	} {
		g := New(tt.cfg, Options{Provider: "mailtrap", AllowFrom: tt.from})
		if g.Proves() != tt.proves || g.Signed() != tt.signed {
			t.Errorf("%s: proves %v, signed %v", tt.name, g.Proves(), g.Signed())
		}
	}
	g := New(signed, Options{Provider: "mailtrap", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, tt := range []struct{ remote, forwarded, want string }{
		{"198.51.100.7:1", "", "198.51.100.7/32"},
		{"198.51.100.7:1", "192.0.2.1", "198.51.100.7/32"}, // a claim of nobody we trust
		{"10.1.2.3:1", "192.0.2.1, 2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"[2001:db8:1:2::9]:1", "", "2001:db8:1:2::/64"},
		{"10.1.2.3:1", "nonsense", "invalid Prefix"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = tt.remote
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := g.Peer(r).String(); got != tt.want {
			t.Errorf("%s for %q is %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}
