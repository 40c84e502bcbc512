package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

// provider is where people sign in by OpenID Connect. It is asked for its addresses
// and keys at the first sign-in, so that a provider that is away does not stop the
// console.
type provider struct {
	cfg OIDC

	// transport carries the calls; nil is the usual one.
	transport http.RoundTripper
	flight    singleflight.Group // for those who wait for the first answer

	mu    sync.Mutex
	found *oidc.Provider // guarded by mu
}

func newProvider(cfg OIDC) *provider { return &provider{cfg: cfg} }

// flowLife is how long a person has to sign in at the provider.
const flowLife = 10 * time.Minute

// claimName is what the person is called (OpenID Connect Core, 5.1).
const claimName = "preferred_username"

// oidcTimeout bounds one call of the provider.
const oidcTimeout = 10 * time.Second

// flow is what the console remembers of a sign-in that is under way.
type flow struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	Until    time.Time `json:"u"`
	Next     string    `json:"p,omitempty"`
}

// nextBytesMax bounds where a flow leads to, since a browser takes cookies of 4 KiB.
const nextBytesMax = 1500

// ErrProvider says that the provider does not answer.
var ErrProvider = errors.New("the provider of sign-ins does not answer")

// discover asks the provider where its parts are, once for all who wait; a fault is not
// remembered.
func (p *provider) discover(ctx context.Context) (*oauth2.Config, *oidc.Provider, error) {
	p.mu.Lock()
	found := p.found
	p.mu.Unlock()
	if found == nil {
		got, err, _ := p.flight.Do("", func() (any, error) {
			// The keys are fetched long after this request: the context must outlive it.
			return oidc.NewProvider(context.WithoutCancel(ctx), p.cfg.Issuer)
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%w: ask it for its addresses: %w", ErrProvider, err)
		}
		found = got.(*oidc.Provider)
		p.mu.Lock()
		p.found = found
		p.mu.Unlock()
	}
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret.Reveal(), RedirectURL: p.cfg.RedirectURL,
		Endpoint: found.Endpoint(), Scopes: []string{oidc.ScopeOpenID, "profile", "email", p.cfg.GroupsClaim},
	}, found, nil
}

// client bounds each call.
func (p *provider) client(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, &http.Client{Timeout: oidcTimeout, Transport: p.transport})
}

// away tells an error of a provider that does not answer from one of a provider that refuses.
func away(err error) error {
	_, unanswered := errors.AsType[*url.Error](err)
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if unanswered || ok && refused.Response != nil && refused.Response.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("%w: %w", ErrProvider, err)
	}
	return err
}

// BeginOIDC returns where the person signs in, and keeps the flow in a cookie, with the page
// of the console that the person wants next, unless its address is longer than nextBytesMax.
func (g *Gate) BeginOIDC(w http.ResponseWriter, r *http.Request, next string) (string, error) {
	at, _, err := g.provider.discover(g.provider.client(r.Context()))
	if err != nil {
		return "", err
	}
	f := flow{State: randomText(), Nonce: randomText(), Verifier: oauth2.GenerateVerifier(), Until: g.now().Add(flowLife)}
	if len(next) <= nextBytesMax {
		f.Next = next
	}
	value, err := g.seal.put(cookieFlow, f)
	if err != nil {
		return "", err
	}
	http.SetCookie(w, cookie(cookieFlow, value, int(flowLife.Seconds())))
	return at.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), nil
}

var errFlow = errors.New("read the answer of the provider: it does not belong to a sign-in of this browser, or it came too late")

// EndOIDC reads the answer of the provider, and returns who signed in and what page was
// wanted, "" where that was not kept.
func (g *Gate) EndOIDC(w http.ResponseWriter, r *http.Request) (user User, next string, err error) {
	http.SetCookie(w, cookie(cookieFlow, "", -1))
	c, err := r.Cookie(cookieFlow)
	if err != nil {
		return User{}, "", errFlow
	}
	var f flow
	if err := g.seal.get(cookieFlow, c.Value, &f); err != nil || !g.now().Before(f.Until) ||
		subtle.ConstantTimeCompare([]byte(f.State), []byte(r.URL.Query().Get("state"))) != 1 {
		return User{}, "", errFlow
	}
	ctx := g.provider.client(r.Context())
	at, found, err := g.provider.discover(ctx)
	if err != nil {
		return User{}, "", err
	}
	got, err := at.Exchange(ctx, r.URL.Query().Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return User{}, "", fmt.Errorf("exchange the code of the sign-in: %w", away(err))
	}
	raw, _ := got.Extra("id_token").(string)
	id, err := found.Verifier(&oidc.Config{ClientID: g.cfg.OIDC.ClientID}).Verify(ctx, raw)
	if err != nil {
		return User{}, "", fmt.Errorf("verify the token of the sign-in: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		return User{}, "", errFlow
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return User{}, "", fmt.Errorf("read the token of the sign-in: %w", err)
	}
	if claims[g.cfg.OIDC.GroupsClaim] == nil || claims[claimName] == nil {
		err := ask(ctx, found, oauth2.StaticTokenSource(got), id.Subject, &claims)
		if errors.Is(err, errOther) || err != nil && claims[g.cfg.OIDC.GroupsClaim] == nil { // without a name the subject is it
			return User{}, "", err
		}
	}
	user, err = g.userOf(id.Subject, claims)
	return user, f.Next, err
}

// errOther says that the provider mixes people up (OpenID Connect Core, 5.3.2).
var errOther = errors.New("ask the provider about the person: it answers about another one")

// ask adds what the provider says of a person only when it is asked (OpenID Connect
// Core, 5.3): many keep the token short.
func ask(ctx context.Context, found *oidc.Provider, token oauth2.TokenSource, subject string, claims *map[string]any) error {
	if found.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := found.UserInfo(ctx, token)
	if err != nil {
		return fmt.Errorf("ask the provider about the person: %w", away(err))
	}
	if info.Subject != subject {
		return errOther
	}
	if err := info.Claims(claims); err != nil {
		return fmt.Errorf("read what the provider says of the person: %w", err)
	}
	return nil
}

// userOf reads name and groups of verified claims.
func (g *Gate) userOf(subject string, claims map[string]any) (User, error) {
	var groups []string
	switch list := claims[g.cfg.OIDC.GroupsClaim].(type) {
	case string: // a provider may write one group so
		groups = []string{list}
	case []any:
		for _, item := range list {
			if text, ok := item.(string); ok {
				groups = append(groups, text)
			}
		}
	}
	name, _ := claims[claimName].(string)
	if !plainName(name) {
		name = subject
	}
	if !plainName(name) {
		return User{}, fmt.Errorf("sign in: neither name nor subject of this person is a text of at most %d bytes", personBytesMax)
	}
	role := highest(groups, g.cfg.OIDC.Roles)
	if role == Nobody {
		return User{}, fmt.Errorf("sign in: no group of this person has a role: add one to console.auth.oidc.roles")
	}
	return User{Name: name, Role: role, Browser: true}, nil
}
