// Package webhookverify checks what providers sign: over the raw bytes, in constant
// time, with every configured key each time, and within a window of time where
// the scheme signs one.
//
// It says whether a request is genuine, and in one word of a closed set why not,
// for the operator alone: nothing of a key, a body or a header gets into an error
// or a log line. What a scheme fetches (a certificate, a key set) it fetches with
// Fetcher, from hosts that are fixed by the configuration. It keeps nothing beyond
// the process, so two replicas do not know each other's used tokens.
package webhookverify

import (
	"context"
	"crypto/hmac"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Verdict is what a signature says of a request. The zero value refuses.
type Verdict int

// The verdicts. Those before Genuine are refusals; who is refused must not learn
// which one it was.
const (
	Refused      Verdict = iota // of another key, or the content was altered: the two look alike
	NoSignature                 // there is none
	BadSignature                // it, or a value that has to accompany it, cannot be read
	Unreadable                  // the body is not of the form that the signature is about
	OldTime                     // signed longer ago than the window allows
	FutureTime                  // signed later than the window allows: a clock is wrong
	UsedToken                   // its token came with other content before
	UnknownTopic                // signed by a service that signs for everybody, for a topic that is not listed
	UnknownKey                  // names a key or certificate that is not its sender's
	Unwrapped                   // a record without the envelope that is signed
	Genuine                     // from the one who has the key
	Settled                     // genuine, and dealt with: a handshake or a ping, no events
	Unsure                      // a transient fault prevented the check: the sender should retry
)

// Refuses says whether v is a refusal.
func (v Verdict) Refuses() bool { return v >= Refused && v < Genuine }

// Request is what a scheme looks at.
type Request struct {
	Method string
	Header http.Header
	Body   []byte // as received, decompressed

	Peer  netip.Prefix // where it comes from
	Known bool         // Peer has proven a request of this source lately
	// Waits is called before Verify waits for something outside, at most once; nil
	// for nothing.
	Waits func()
}

// Await calls r.Waits. A verifier does so before it waits for something outside.
func (r *Request) Await() {
	if r.Waits != nil {
		r.Waits()
	}
}

// Verifier decides for the requests of one source. It is safe for concurrent
// use; Verify blocks only while it fetches a key it does not know yet.
type Verifier interface {
	Verify(ctx context.Context, r *Request) Verdict
}

// Settings are what a source's configuration says of signatures, with the names
// of the fields below `auth`.
type Settings struct {
	Keys      []string      // signing_keys, revealed
	Window    time.Duration // replay_window; 0 takes the scheme's own
	PublicURL string        // public_url
	JWKSURL   string        // jwks_url
	Custom    *Custom       // signature
	// Own are fields that a single provider has, which knows their type; those that
	// are not set are left out.
	Own map[string]any
}

// Any says whether anything about signatures is configured.
func (s Settings) Any() bool {
	return len(s.Keys) > 0 || len(s.Own) > 0 || s.JWKSURL != "" || s.Custom != nil
}

// Options are what a Verifier needs beside its settings.
type Options struct {
	Provider string           // for messages
	Source   string           // for log lines
	Log      *zap.Logger      // nil logs nothing
	Clock    func() time.Time // nil is time.Now
	Client   *http.Client     // for what is fetched; nil is one of our own
}

// windowMax bounds replay_window: no provider retries for longer than three days.
const windowMax = 72 * time.Hour

// New returns the verifier of a source. scheme is nil where the provider signs
// nothing. It does no I/O. Faults go to p with the names of the fields; then it
// returns nil.
func New(scheme *Scheme, s Settings, opt Options, p *config.Problems) Verifier {
	if scheme == nil {
		for _, f := range s.fields() {
			p.Check(!f.set, f.name, "this provider signs nothing: use basic, bearer, header, query or path")
		}
		return nil
	}
	b := &Builder{Settings: s, Options: opt.complete(), problems: p, sound: true}
	for _, f := range s.fields() {
		b.Check(!f.set || scheme.takes(f.name), f.name, "must be empty: provider %s does not use it", opt.Provider)
	}
	b.Check(s.Window >= 0 && s.Window <= windowMax, "replay_window", "%s is not in [0s, %s]", s.Window, windowMax)
	if s.Window == 0 {
		b.Window = scheme.Window
	}
	v := scheme.Build(b)
	if !b.sound {
		return nil
	}
	return v
}

func (o Options) complete() Options {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	o.Log = telemetry.Throttled(o.Log, telemetry.BySource) // a line a request
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// field is one setting: its name and whether it is there.
type field struct {
	name string
	set  bool
}

func (s Settings) fields() []field {
	list := []field{
		{"signing_keys", len(s.Keys) > 0}, {"replay_window", s.Window != 0}, {"public_url", s.PublicURL != ""},
	}
	for _, name := range slices.Sorted(maps.Keys(s.Own)) {
		list = append(list, field{name, true})
	}
	return append(list, field{"jwks_url", s.JWKSURL != ""}, field{"signature", s.Custom != nil})
}

// Builder is what a Scheme makes its verifier of: the settings of a source, with
// Window filled in, and complete options.
type Builder struct {
	Settings
	Options
	problems *config.Problems
	sound    bool // no fault so far
}

// Check reports a fault of a setting unless ok. The text must hold nothing of a key.
func (b *Builder) Check(ok bool, field, format string, args ...any) {
	b.problems.Check(ok, field, format, args...)
	b.sound = b.sound && ok
}

// NeedKeys reports that signing_keys are missing.
func (b *Builder) NeedKeys() { b.Check(len(b.Keys) > 0, "signing_keys", "is missing") }

// NeedPublicURL reports that public_url is missing or no URL.
func (b *Builder) NeedPublicURL(why string) {
	u, err := url.Parse(b.PublicURL)
	b.Check(b.PublicURL != "", "public_url", "is missing: %s", why)
	if b.PublicURL != "" {
		b.Check(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "", "public_url", "is not an http or https URL")
	}
}

// TextKeys returns the keys of a scheme that takes them as text.
func (b *Builder) TextKeys() [][]byte {
	b.NeedKeys()
	keys := make([][]byte, len(b.Keys))
	for i, k := range b.Keys {
		b.Check(k != "", fmt.Sprintf("signing_keys[%d]", i), "is empty: everybody could sign with it")
		keys[i] = []byte(k)
	}
	return keys
}

// TimeWindow is how far a signed time may be from ours, before or after.
type TimeWindow struct {
	Clock func() time.Time
	Size  time.Duration
}

// TimeWindow returns the window of the source.
func (b *Builder) TimeWindow() TimeWindow { return TimeWindow{Clock: b.Clock, Size: b.Window} }

// Judge returns Genuine for a time of the given unit since 1970 that is near
// enough.
func (w TimeWindow) Judge(text string, unit time.Duration) Verdict {
	t, ok := UnixTime(text, unit)
	if !ok {
		return BadSignature
	}
	switch ahead := t.Sub(w.Clock()); {
	case ahead > w.Size:
		return FutureTime
	case ahead < -w.Size:
		return OldTime
	default:
		return Genuine
	}
}

// stampDigitsMax is enough for nanoseconds of this century.
const stampDigitsMax = 19

// UnixTime reads a whole number of units since 1970.
func UnixTime(text string, unit time.Duration) (time.Time, bool) {
	if text == "" || len(text) > stampDigitsMax {
		return time.Time{}, false
	}
	n := int64(0)
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' || n > (1<<62)/10 {
			return time.Time{}, false
		}
		n = n*10 + int64(c-'0')
	}
	perSecond := int64(time.Second / unit)
	return time.Unix(n/perSecond, n%perSecond*int64(unit)), true
}

// AnyMAC compares given with the MAC of every key.
func AnyMAC(keys [][]byte, given []byte, mac func(key []byte) []byte) bool {
	return AnyEqual(MACs(keys, mac), given)
}

// MACs returns the MAC of every key. Where a header may hold several signatures
// they are compared with these: an unauthenticated sender decides how many there
// are, and each MAC reads the whole body.
func MACs(keys [][]byte, mac func(key []byte) []byte) [][]byte {
	macs := make([][]byte, len(keys))
	for i, key := range keys {
		macs[i] = mac(key)
	}
	return macs
}

// AnyEqual compares given with all macs, so that the time does not show which
// one was right.
func AnyEqual(macs [][]byte, given []byte) bool {
	found := false
	for _, mac := range macs {
		found = hmac.Equal(mac, given) || found
	}
	return found
}

// VerdictOf is Genuine when ok.
func VerdictOf(ok bool) Verdict {
	if ok {
		return Genuine
	}
	return Refused
}
