package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// Request is what a scheme may look at.
type Request struct {
	*http.Request
	// PathSecret is what follows the source in the path; "" when nothing does.
	PathSecret string
	// Body is the request's bytes as received; nil while they are not read.
	Body []byte
	// Peer, Known and Waits are those of webhookverify.Request.
	Peer  netip.Prefix
	Known bool
	Waits func()
}

// Proof is what the sender's address, headers and URL prove. The zero value
// refuses.
type Proof int

// The proofs. Who is refused must not learn which refusal it was.
const (
	WrongCredentials Proof = iota
	NoCredentials
	ForeignAddress // not one of AllowFrom
	Proven
)

// scheme is one way to prove a request. It is safe for concurrent use.
type scheme func(r *Request) Proof

// proof is Proven when ok.
func proof(ok bool) Proof {
	if ok {
		return Proven
	}
	return WrongCredentials
}

// Options are what a Guard needs beside a source's Config.
type Options struct {
	AllowFrom      []netip.Prefix // empty: from everywhere
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	Provider       string         // decides what is signed and how
	Signature      webhookverify.Options
}

// Guard decides for one source. It is safe for concurrent use.
type Guard struct {
	early     []scheme               // need headers and URL only
	late      webhookverify.Verifier // needs the raw bytes; nil for none
	peers     peers
	challenge string // WWW-Authenticate of a refusal
	wantsPath bool
	queryName string // of the parameter that carries a secret
}

// New returns the guard of a source. cfg has been validated.
func New(cfg Config, opt Options) *Guard {
	g := &Guard{peers: peers{allowed: opt.AllowFrom, proxies: opt.TrustedProxies}, wantsPath: len(cfg.Path) > 0}
	g.late = cfg.verifier(opt.Provider, opt.Signature, new(config.Problems))
	if g.late == nil && cfg.settings().Any() {
		g.late = refuseAll{} // a configuration with faults refuses every request
	}
	if cfg.Basic != nil {
		g.early = append(g.early, basic(*cfg.Basic))
		g.challenge = `Basic realm="mailstream", charset="UTF-8"`
	}
	if len(cfg.Bearer) > 0 {
		g.early = append(g.early, bearer(cfg.Bearer))
		if g.challenge == "" {
			g.challenge = `Bearer realm="mailstream"`
		}
	}
	if cfg.Header != nil {
		g.early = append(g.early, header(*cfg.Header))
	}
	if cfg.Query != nil {
		g.early = append(g.early, query(*cfg.Query))
		g.queryName = cfg.Query.Name
	}
	if g.wantsPath {
		g.early = append(g.early, path(cfg.Path))
	}
	return g
}

// refuseAll proves nothing.
type refuseAll struct{}

// Verify refuses.
func (refuseAll) Verify(context.Context, *webhookverify.Request) webhookverify.Verdict {
	return webhookverify.Refused
}

// Challenge returns the WWW-Authenticate header of a refusal, "" for none: some
// senders give their password only when asked (RFC 9110, section 11.6.1).
func (g *Guard) Challenge() string { return g.challenge }

// WantsPathSecret says whether a path with a secret behind the source exists.
func (g *Guard) WantsPathSecret() bool { return g.wantsPath }

// Signed says whether the body has to prove the request.
func (g *Guard) Signed() bool { return g.late != nil }

// Proves says whether VerifyHeaders proves who sent a request: by a secret, or by an
// address where nothing else is asked for.
func (g *Guard) Proves() bool {
	return len(g.early) > 0 || g.late == nil && len(g.peers.allowed) > 0
}

// Peer returns the network that r comes from, behind trusted proxies too: an IPv4
// address, or the /64 that one IPv6 host has as a rule (RFC 6177). The zero Prefix
// is for an unknown address.
func (g *Guard) Peer(r *http.Request) netip.Prefix {
	addr, ok := httpserver.Client(r, g.peers.proxies)
	if !ok {
		return netip.Prefix{}
	}
	return httpserver.Network(addr)
}

// Fields returns the query without the parameter that carries a secret, which
// nothing may keep. The rest is as it was sent.
func (g *Guard) Fields(query string) string {
	if g.queryName == "" || query == "" {
		return query
	}
	kept := make([]string, 0, strings.Count(query, "&")+1)
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); err != nil || name != g.queryName {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}

// VerifyHeaders decides from the sender's address, headers and URL, before a byte of the
// body is read, so that an unauthenticated request costs no memory.
func (g *Guard) VerifyHeaders(r *Request) Proof {
	if !g.peers.allow(r.Request) {
		return ForeignAddress
	}
	return all(g.early, r)
}

// VerifyBody decides from the raw bytes; r.Body is set. Refused: the sender is
// not authenticated. Settled: a handshake that needs only an answer. Unsure: a
// transient fault; the sender has to retry.
func (g *Guard) VerifyBody(ctx context.Context, r *Request) webhookverify.Verdict {
	if g.late == nil {
		return webhookverify.Genuine
	}
	return g.late.Verify(ctx, &webhookverify.Request{
		Method: r.Method, Header: r.Header, Body: r.Body, Peer: r.Peer, Known: r.Known, Waits: r.Waits,
	})
}

// all asks every scheme, so that the time does not show which one refused.
func all(schemes []scheme, r *Request) Proof {
	weakest := Proven
	for _, s := range schemes {
		weakest = min(s(r), weakest)
	}
	return weakest
}

// sums are the hashes of the secrets that are right.
type sums [][sha256.Size]byte

func newSums(secrets Secrets, prefix string) sums {
	out := make(sums, 0, len(secrets))
	for _, s := range secrets {
		out = append(out, sumOf(prefix, s))
	}
	return out
}

func sumOf(prefix string, s config.Secret) [sha256.Size]byte {
	return sha256.Sum256([]byte(prefix + s.Reveal()))
}

// match compares with all sums in constant time.
func (s sums) match(given []byte) bool {
	sum := sha256.Sum256(given)
	found := 0
	for i := range s {
		found |= subtle.ConstantTimeCompare(sum[:], s[i][:])
	}
	return found == 1
}

// credentialBytesMax bounds the decoded credentials of a Basic header that are
// looked at without an allocation.
const credentialBytesMax = 256

func basic(b Basic) scheme {
	right := newSums(b.Password, b.Username+":")
	usual := make([]padded, 0, len(b.Password))
	for _, password := range b.Password {
		text := base64.StdEncoding.EncodeToString([]byte(b.Username + ":" + password.Reveal()))
		if p, ok := pad("Basic " + text); ok {
			usual = append(usual, p)
		}
	}
	return func(r *Request) Proof {
		if matchPadded(usual, r.Header.Get("Authorization")) {
			return Proven
		}
		text, found := credentials(r, "Basic")
		if found != Proven {
			return found
		}
		var room [credentialBytesMax]byte
		given, err := base64.StdEncoding.AppendDecode(room[:0], []byte(text))
		return proof(err == nil && right.match(given))
	}
}

// padded is a header value filled up to one length, so that comparing does not
// show how long it is. It saves the hash for senders who write the header as
// everybody does.
type padded [paddedBytes]byte

const paddedBytes = 128

func pad(s string) (p padded, ok bool) {
	if len(s) >= paddedBytes {
		return p, false
	}
	p[copy(p[:], s)] = 1 // where it ends
	return p, true
}

func matchPadded(right []padded, s string) bool {
	given, ok := pad(s)
	found := 0
	for i := range right {
		found |= subtle.ConstantTimeCompare(given[:], right[i][:])
	}
	return ok && found == 1
}

func bearer(tokens Secrets) scheme {
	right := newSums(tokens, "")
	return func(r *Request) Proof {
		text, found := credentials(r, "Bearer")
		if found != Proven {
			return found
		}
		return proof(right.match([]byte(text)))
	}
}

// credentials returns what follows the scheme's name in Authorization; it is
// Proven when there is something to look at.
func credentials(r *Request, name string) (string, Proof) {
	value := r.Header.Get("Authorization")
	if value == "" {
		return "", NoCredentials
	}
	given, rest, ok := strings.Cut(value, " ")
	return strings.TrimSpace(rest), proof(ok && strings.EqualFold(given, name))
}

func header(n Named) scheme {
	right := newSums(n.Value, "")
	return func(r *Request) Proof { return single(r.Header.Values(n.Name), right) }
}

func query(n Named) scheme {
	right := newSums(n.Value, "")
	return func(r *Request) Proof { return single(r.URL.Query()[n.Name], right) }
}

// single looks at a secret that has to be there once.
func single(values []string, right sums) Proof {
	if len(values) == 0 {
		return NoCredentials
	}
	return proof(len(values) == 1 && right.match([]byte(values[0])))
}

func path(secrets Secrets) scheme {
	right := newSums(secrets, "")
	return func(r *Request) Proof {
		if r.PathSecret == "" {
			return NoCredentials
		}
		return proof(right.match([]byte(r.PathSecret)))
	}
}
