// Package oidctest starts a provider of OpenID Connect, a real one, for tests of signing in.
// It tests nothing itself.
package oidctest

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// What the console is at the provider.
const (
	ClientID     = "console"
	ClientSecret = "secret-of-the-console"
)

// Provider knows one person, test-user2, who is asked for no password. Set the fields
// before a sign-in.
type Provider struct {
	// Issuer is its address.
	Issuer string
	// Groups are those of the person, a list, or one text; nil for none.
	Groups any
	// InToken says that they are in the token of the sign-in, too.
	InToken bool
	// Other is whom it answers about when it is asked; "" for who signed in.
	Other string
	// Nonce is what it is asked with in place of the console's, "" for that.
	Nonce string
	// Away is a path where it does not answer, such as /oauth/token; "" for none.
	Away string
	// Asked has the parameters of the latest sign-in.
	Asked url.Values
}

// staff is what the library's example knows of people, with groups.
type staff struct {
	*storage.Storage
	p *Provider
}

func (s staff) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if s.p.InToken && s.p.Groups != nil {
		info.AppendClaims("groups", s.p.Groups)
	}
	return s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes)
}

func (s staff) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	if s.p.Groups != nil {
		info.AppendClaims("groups", s.p.Groups)
	}
	err := s.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin)
	if s.p.Other != "" {
		info.Subject = s.p.Other
	}
	return err
}

// Start starts a provider that sends people back to an address. It ends with the test.
func Start(tb testing.TB, back string) *Provider {
	tb.Helper()
	server := httptest.NewUnstartedServer(nil)
	p := &Provider{Issuer: "http://" + server.Listener.Addr().String()}
	people := staff{storage.NewStorageWithClients(storage.NewUserStore(p.Issuer), map[string]*storage.Client{ClientID: storage.WebClient(ClientID, ClientSecret, back)}), p}
	real, err := op.NewProvider(&op.Config{CryptoKey: sha256.Sum256([]byte("key")), CryptoKeyId: "key", CodeMethodS256: true, AuthMethodPost: true},
		people, op.StaticIssuer(p.Issuer), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		tb.Fatal(err)
	}
	// The page of the provider where people type their password: this one knows it.
	page := op.NewIssuerInterceptor(real.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("authRequestID")
		if err := people.CheckUsernamePassword("test-user2", "verysecure", id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, op.AuthCallbackURL(real)(r.Context(), id), http.StatusFound)
	})
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case p.Away:
			panic(http.ErrAbortHandler) // the connection ends
		case "/login/username":
			page(w, r)
			return
		case "/authorize":
			p.Asked = r.URL.Query()
			if q := r.URL.Query(); p.Nonce != "" {
				q.Set("nonce", p.Nonce)
				r.URL.RawQuery = q.Encode()
			}
		}
		real.ServeHTTP(w, r)
	})
	server.Start()
	tb.Cleanup(server.Close)
	return p
}
