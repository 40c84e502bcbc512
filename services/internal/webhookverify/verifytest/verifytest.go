// Package verifytest is what the tests of a signature scheme share: each holds its
// samples to the same demands.
package verifytest

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// Sample is a request with a signature that was computed apart from this code, by
// the provider or from its documentation, and the key that proves it.
type Sample struct {
	Name, Provider string
	Settings       webhookverify.Settings
	Now            int64 // Unix seconds; 0 where no time is signed
	Request        *webhookverify.Request
	Header         string // that carries the signature; "" when it is in the body
	WrongKey       string // of the same form
	// ReadsBody says that the body is read before it is compared, so that another one
	// may be malformed or mean the same.
	ReadsBody bool
}

// With returns the sample's request with one thing changed.
func (s Sample) With(change func(*webhookverify.Request)) *webhookverify.Request {
	r := &webhookverify.Request{Method: s.Request.Method, Header: s.Request.Header.Clone(), Body: bytes.Clone(s.Request.Body)}
	change(r)
	return r
}

// At is a clock that shows one Unix second.
func At(seconds int64) func() time.Time {
	return func() time.Time { return time.Unix(seconds, 0) }
}

// Request is a POST with headers "Name: value".
func Request(body string, headers ...string) *webhookverify.Request {
	r := &webhookverify.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// Class is Refused for every refusal: most tests do not care why.
func Class(v webhookverify.Verdict) webhookverify.Verdict {
	if v.Refuses() {
		return webhookverify.Refused
	}
	return v
}

// Verifier returns the verifier of scheme, without a fault.
func Verifier(tb testing.TB, scheme *webhookverify.Scheme, s webhookverify.Settings, opt webhookverify.Options) webhookverify.Verifier {
	tb.Helper()
	var p config.Problems
	v := webhookverify.New(scheme, s, opt, &p)
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	return v
}

// Run holds scheme to its samples: it takes them, refuses everything near them, and
// says why.
func Run(t *testing.T, scheme *webhookverify.Scheme, samples ...Sample) {
	t.Helper()
	for _, s := range samples {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			c := check{T: t, scheme: scheme, Sample: s}
			c.takes()
			c.refuses()
			c.says()
		})
	}
}

type check struct {
	*testing.T
	Sample
	scheme *webhookverify.Scheme
}

// own is the verifier of the sample at another time.
func (c check) own(now int64) webhookverify.Verifier {
	c.Helper()
	return Verifier(c.T, c.scheme, c.Settings, webhookverify.Options{Clock: At(now)})
}

// keyed is the verifier of the sample with other keys.
func (c check) keyed(keys ...string) webhookverify.Verifier {
	c.Helper()
	other := c.Settings
	other.Keys = keys
	return Verifier(c.T, c.scheme, other, webhookverify.Options{Clock: At(c.Now)})
}

// timed returns the seconds of the window; 0 where the sample signs no time.
func (c check) timed() int64 {
	custom := c.Settings.Custom
	if c.Now == 0 || custom != nil && custom.Algorithm != "standard-webhooks" && custom.TimestampHeader == "" && custom.TimestampParam == "" {
		return 0
	}
	return int64(c.scheme.Window.Seconds())
}

func (c check) takes() {
	c.Helper()
	v := c.own(c.Now)
	for n := range 2 { // a repeat of the same request is genuine too
		if got := v.Verify(c.Context(), c.Request); got != webhookverify.Genuine {
			c.Errorf("time %d: verdict %d", n, got)
		}
	}
}

func (c check) refuses() {
	c.Helper()
	refuse := func(what string, v webhookverify.Verifier, r *webhookverify.Request) {
		c.Helper()
		if got := v.Verify(c.Context(), r); !got.Refuses() {
			c.Errorf("%s: verdict %d", what, got)
		}
	}
	changed := func(what string, change func(*webhookverify.Request)) {
		c.Helper()
		refuse(what, c.own(c.Now), c.With(change))
	}
	refuse("wrong key", c.keyed(c.WrongKey), c.Request)
	several := c.keyed(append([]string{c.WrongKey}, c.Settings.Keys...)...)
	if got := several.Verify(c.Context(), c.Request); got != webhookverify.Genuine {
		c.Errorf("the right key after a wrong one: verdict %d", got)
	}
	changed("empty body", func(r *webhookverify.Request) { r.Body = nil })
	if c.Header == "" {
		return // the body is not signed; its own test says what is
	}
	for i := range c.Request.Body {
		changed(fmt.Sprint("altered byte ", i), func(r *webhookverify.Request) { r.Body[i] ^= 1 })
	}
	changed("byte more", func(r *webhookverify.Request) { r.Body = append(r.Body, '\n') })
	changed("byte less", func(r *webhookverify.Request) { r.Body = r.Body[:len(r.Body)-1] })
	value := c.Request.Header.Get(c.Header)
	changed("no header", func(r *webhookverify.Request) { r.Header.Del(c.Header) })
	for _, bad := range []string{"", " ", "=", ",", "v1,", "v1=", "sha256=", "t=,v1=", "t=1772615730,v1=", value[:len(value)/2], "x" + value[1:], strings.Repeat("v1,AA== ", 10_000)} {
		changed("header "+bad[:min(len(bad), 20)], func(r *webhookverify.Request) { r.Header.Set(c.Header, bad) })
	}
	if size := c.timed(); size > 0 {
		refuse("too old", c.own(c.Now+size+1), c.Request)
		refuse("too new", c.own(c.Now-size-1), c.Request)
	}
}

// says checks the cause of a refusal, for the operator.
func (c check) says() {
	c.Helper()
	want := func(what string, v webhookverify.Verifier, r *webhookverify.Request, want webhookverify.Verdict) {
		c.Helper()
		if got := v.Verify(c.Context(), r); got != want {
			c.Errorf("%s: verdict %d, want %d", what, got, want)
		}
	}
	want("another key", c.keyed(c.WrongKey), c.Request, webhookverify.Refused)
	if c.Header != "" {
		set := func(value string) *webhookverify.Request {
			return c.With(func(r *webhookverify.Request) { r.Header.Set(c.Header, value) })
		}
		want("no header", c.own(c.Now), c.With(func(r *webhookverify.Request) { r.Header.Del(c.Header) }), webhookverify.NoSignature)
		want("an empty header", c.own(c.Now), set(" "), webhookverify.NoSignature)
		want("a header that cannot be read", c.own(c.Now), set("§"), webhookverify.BadSignature)
		if !c.ReadsBody {
			want("an altered body", c.own(c.Now), c.With(func(r *webhookverify.Request) { r.Body[len(r.Body)-1] ^= 1 }), webhookverify.Refused)
		}
	}
	if size := c.timed(); size > 0 {
		want("a clock that is ahead", c.own(c.Now+size+1), c.Request, webhookverify.OldTime)
		want("a clock that is behind", c.own(c.Now-size-1), c.Request, webhookverify.FutureTime)
	}
}

// Fuzz holds scheme to: no panic, and nothing proven but what is. stamps are headers
// that a signed time is in, each changed where a sample has it.
func Fuzz(f *testing.F, scheme *webhookverify.Scheme, stamps []string, samples ...Sample) {
	f.Helper()
	for i, s := range samples {
		f.Add(uint8(i), s.Request.Header.Get(s.Header), "1772615730", s.Request.Body)
	}
	f.Add(uint8(0), "t=1,v1=00,v1=", "99999999999999999999", []byte(`{"signature":{"timestamp":1}}`))
	f.Fuzz(func(t *testing.T, which uint8, header, at string, body []byte) {
		s := samples[int(which)%len(samples)]
		r := s.With(func(r *webhookverify.Request) { r.Body = body })
		if s.Header != "" {
			r.Header.Set(s.Header, header)
		}
		for _, name := range stamps {
			if r.Header.Get(name) != "" {
				r.Header.Set(name, at)
			}
		}
		v := Verifier(t, scheme, s.Settings, webhookverify.Options{Clock: At(s.Now)})
		if v.Verify(t.Context(), r) == webhookverify.Genuine && s.Header != "" && !bytes.Equal(body, s.Request.Body) && !s.ReadsBody {
			t.Fatalf("%s: another body is proven", s.Name)
		}
	})
}

// Bench measures the check of each sample.
func Bench(b *testing.B, scheme *webhookverify.Scheme, samples ...Sample) {
	b.Helper()
	for _, s := range samples {
		b.Run(strings.ReplaceAll(s.Name, " ", "-"), func(b *testing.B) {
			v := Verifier(b, scheme, s.Settings, webhookverify.Options{Clock: At(s.Now)})
			b.SetBytes(int64(len(s.Request.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if v.Verify(b.Context(), s.Request) != webhookverify.Genuine {
					b.Fatal("refused")
				}
			}
		})
	}
}

// Secret is a key that no message may show.
const Secret = "hunter2-hunter2"

// Fault wants Settings refused with a text.
func Fault(t *testing.T, scheme *webhookverify.Scheme, provider string, s webhookverify.Settings, want string) {
	t.Helper()
	var p config.Problems
	if v := webhookverify.New(scheme, s, webhookverify.Options{Provider: provider}, &p); v != nil {
		t.Error("there is a verifier")
	}
	text := fmt.Sprint(p.Err())
	if !strings.Contains(text, want) {
		t.Errorf("faults %s, want %q", text, want)
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("the key is shown: %s", text)
	}
}

// TakesNoMemory holds scheme, which looks into a body before it is proven, against
// a body that is all members of five bytes, of which an index would take ten times
// their size. request gets them as a text that is followed by a member.
func TakesNoMemory(t *testing.T, scheme *webhookverify.Scheme, s webhookverify.Settings, request func(fill string) *webhookverify.Request) {
	t.Helper()
	const size = 4 << 20
	r := request(strings.Repeat(`"":0,`, size/5))
	v := Verifier(t, scheme, s, webhookverify.Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := v.Verify(t.Context(), r); got == webhookverify.Genuine {
		t.Errorf("verdict %d", got)
	}
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > size/16 {
		t.Errorf("%d bytes for a body of %d", taken, size)
	}
}
