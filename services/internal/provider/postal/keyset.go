package postal

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

const (
	// keySetAge is how long a key set is cached: afterwards a key that was removed
	// from it is no longer accepted.
	keySetAge = time.Hour
	// keySetPause spaces fetches: requests with made-up key ids cause no more.
	keySetPause = 30 * time.Second
	// keySetMax bounds its keys; an installation has one, two while it changes it.
	keySetMax = 16
	// exponentMax is what crypto/rsa takes.
	exponentMax = 1<<31 - 1
)

// keySet is the RSA keys of a JWK set (RFC 7517), by key id. When it cannot be
// fetched the keys known before go on counting.
type keySet struct {
	url    string
	fetch  *webhookverify.Fetcher
	clock  func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	keys    map[string]*rsa.PublicKey // guarded by mu, as the rest
	fetched time.Time                 // last success
	tried   time.Time                 // last attempt
}

func newKeySet(url string, opt webhookverify.Options) *keySet {
	return &keySet{url: url, fetch: webhookverify.NewFetcher(opt.Client), clock: opt.Clock}
}

// find returns the key of id, or all of them when id is empty; nothing when
// there is none. An error says that it could not be found out.
func (k *keySet) find(ctx context.Context, id string) ([]*rsa.PublicKey, error) {
	keys, due := k.known(id)
	if !due {
		return keys, nil
	}
	err := webhookverify.ErrFetch
	select {
	case done := <-k.flight.DoChan("", func() (any, error) { return nil, k.refresh(ctx) }):
		err = done.Err
	case <-ctx.Done(): // the sender is gone; others may wait for the same
	}
	if len(keys) > 0 && err != nil {
		return keys, nil
	}
	keys, _ = k.known(id)
	return keys, err
}

// known returns the keys at hand and whether it is time to fetch.
func (k *keySet) known(id string) (keys []*rsa.PublicKey, due bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for kid, key := range k.keys {
		if id == "" || id == kid {
			keys = append(keys, key)
		}
	}
	now := k.clock()
	return keys, len(keys) == 0 || now.Sub(k.fetched) >= keySetAge
}

func (k *keySet) refresh(ctx context.Context) error {
	k.mu.Lock()
	now := k.clock()
	if !k.tried.IsZero() && now.Sub(k.tried) < keySetPause {
		ok := k.fetched.Equal(k.tried)
		k.mu.Unlock()
		if !ok {
			return webhookverify.ErrFetch
		}
		return nil // fetched a moment ago: there is no such key
	}
	k.tried = now
	k.mu.Unlock()
	text, err := k.fetch.Get(ctx, k.url)
	if err != nil {
		return err
	}
	keys, err := parseKeySet(text)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.fetched = keys, now
	return nil
}

// parseKeySet reads the RSA keys for signatures and skips all others. Text without
// the list, such as an error page, is not a key set and removes no key.
func parseKeySet(text []byte) (map[string]*rsa.PublicKey, error) {
	var set struct {
		Keys []struct {
			Type     string `json:"kty"`
			ID       string `json:"kid"`
			Use      string `json:"use"`
			Modulus  string `json:"n"`
			Exponent string `json:"e"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil || len(set.Keys) > keySetMax {
		return nil, fmt.Errorf("%w: no key set of at most %d keys", webhookverify.ErrFetch, keySetMax)
	}
	keys := make(map[string]*rsa.PublicKey, len(set.Keys))
	for _, k := range set.Keys {
		n, nerr := base64.RawURLEncoding.DecodeString(k.Modulus)
		e, eerr := base64.RawURLEncoding.DecodeString(k.Exponent)
		if k.Type != "RSA" || k.Use != "" && k.Use != "sig" || nerr != nil || eerr != nil || len(n) == 0 {
			continue
		}
		exponent := new(big.Int).SetBytes(e)
		if !exponent.IsInt64() || exponent.Int64() < 2 || exponent.Int64() > exponentMax {
			continue
		}
		keys[k.ID] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
	}
	return keys, nil
}
