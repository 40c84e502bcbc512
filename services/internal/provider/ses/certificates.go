package ses

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

const (
	// certificatesMax bounds the certificates kept. A region has one at a time.
	certificatesMax = 16
	// certificateAge is how long a certificate is cached.
	certificateAge = 24 * time.Hour
	// missesMax and missAge bound what is remembered of URLs that gave nothing, so
	// that one made-up name costs one fetch and not one each request. SNS retries
	// three times, 20 s apart, and then drops the message: a failed fetch must not
	// be cached across these, or it costs the message.
	missesMax = 256
	missAge   = 10 * time.Second
)

// pinned is the part of a certificate that counts here. Its chain is not
// checked: it comes from Amazon's own host over TLS, which is, or from the
// configuration.
type pinned struct {
	key         *rsa.PublicKey
	from, until time.Time
}

func (p pinned) valid(now time.Time) bool { return !now.Before(p.from) && !now.After(p.until) }

// parseCertificate reads the first certificate of a PEM text. The error holds
// nothing of it.
func parseCertificate(text []byte) (pinned, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return pinned{}, errors.New("decode certificate: not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return pinned{}, errors.New("parse certificate: not X.509")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < webhookverify.RSABitsMin {
		return pinned{}, errors.New("parse certificate: the key is not RSA, or too short")
	}
	return pinned{key: key, from: cert.NotBefore, until: cert.NotAfter}, nil
}

// certificates are fetched by URL and kept. The caller vouches for the URL.
type certificates struct {
	fetch  *webhookverify.Fetcher
	clock  func() time.Time
	places *places
	flight singleflight.Group

	mu     sync.Mutex
	known  map[string]kept      // guarded by mu
	misses map[string]time.Time // guarded by mu: until when a failed fetch is not repeated
}

type kept struct {
	pinned
	fetched time.Time
}

func newCertificates(f *webhookverify.Fetcher, clock func() time.Time, topics []string) *certificates {
	return &certificates{fetch: f, clock: clock, places: newPlaces(topics), known: map[string]kept{}, misses: map[string]time.Time{}}
}

// get returns the certificate at url, for a message of topic. An old one stays
// good while a newer cannot be had.
func (c *certificates) get(ctx context.Context, url, topic string, r *webhookverify.Request) (pinned, error) {
	old, ok, due := c.look(url)
	if due {
		if fresh, err := c.renew(ctx, url, topic, r); err == nil {
			return fresh, nil
		}
	}
	if !ok {
		return pinned{}, webhookverify.ErrFetch
	}
	return old, nil
}

// renew fetches url when it is r's turn, unless others have done so meanwhile.
func (c *certificates) renew(ctx context.Context, url, topic string, r *webhookverify.Request) (pinned, error) {
	r.Await()
	release := c.places.take(ctx, topic, url, r)
	if release == nil {
		return pinned{}, webhookverify.ErrFetch
	}
	defer release()
	if fresh, ok, due := c.look(url); ok && !due {
		return fresh, nil
	} else if !due {
		return pinned{}, webhookverify.ErrFetch
	}
	v, err, _ := c.flight.Do(url, func() (any, error) { return c.load(ctx, url) })
	if err != nil {
		return pinned{}, err
	}
	return v.(pinned), nil
}

// look returns what is known and whether it is time to ask.
func (c *certificates) look(url string) (p pinned, ok, due bool) {
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[url]
	if until, missed := c.misses[url]; missed && now.Before(until) {
		return k.pinned, ok, false
	}
	return k.pinned, ok, !ok || now.Sub(k.fetched) >= certificateAge
}

func (c *certificates) load(ctx context.Context, url string) (pinned, error) {
	text, err := c.fetch.Get(ctx, url)
	var p pinned
	if err == nil {
		p, err = parseCertificate(text)
	}
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if len(c.misses) >= missesMax {
			c.forgetMiss()
		}
		c.misses[url] = now.Add(missAge)
		return pinned{}, err
	}
	delete(c.misses, url)
	if _, ok := c.known[url]; !ok && len(c.known) >= certificatesMax {
		c.evict()
	}
	c.known[url] = kept{pinned: p, fetched: now}
	return p, nil
}

// forgetMiss drops the miss that is over first; c.mu is held.
func (c *certificates) forgetMiss() {
	first := ""
	for url, until := range c.misses {
		if first == "" || until.Before(c.misses[first]) {
			first = url
		}
	}
	delete(c.misses, first)
}

// evict drops the one fetched longest ago; c.mu is held.
func (c *certificates) evict() {
	oldest := ""
	for url, k := range c.known {
		if oldest == "" || k.fetched.Before(c.known[oldest].fetched) {
			oldest = url
		}
	}
	delete(c.known, oldest)
}
