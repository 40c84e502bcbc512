package fingerprint

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func parts() Parts {
	return Parts{
		Source: "acme", Provider: "mailjet", Type: "clicked", Event: "click", MessageID: "576460761234567891",
		Recipient: "ana@example.com", Time: time.UnixMilli(1767225733123), Discriminators: []string{"https://example.com/", "203.0.113.17"},
	}
}

func id(p Parts) string {
	s, _ := ID(&p, nil)
	return s
}

func TestID_IsAUUIDv8ThatStartsWithTheTime(t *testing.T) {
	t.Parallel()
	got := id(parts())
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if !form.MatchString(got) {
		t.Errorf("%q is no UUIDv8", got)
	}
	if want := "019b76dc-b003"; !strings.HasPrefix(got, want) { // 1767225733123 in hex
		t.Errorf("%q does not start with %q", got, want)
	}
}

func TestID_NeverChanges(t *testing.T) {
	t.Parallel()
	const want = "019b76dc-b003-849c-9091-6c988139a220" // in every store by now
	for range 3 {
		if got := id(parts()); got != want {
			t.Errorf("id %q, want %q", got, want)
		}
	}
}

func TestID_DependsOnEveryPart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{id(parts()): "nothing"}
	for _, tt := range []struct {
		name   string
		change func(*Parts)
	}{
		{"source", func(p *Parts) { p.Source = "other" }},
		{"provider", func(p *Parts) { p.Provider = "x" }},
		{"type", func(p *Parts) { p.Type = "opened" }},
		{"event", func(p *Parts) { p.Event = "open" }},
		{"message", func(p *Parts) { p.MessageID = "576460761234567892" }},
		{"recipient", func(p *Parts) { p.Recipient = "bo@example.com" }},
		{"time", func(p *Parts) { p.Time = p.Time.Add(time.Millisecond) }},
		{"a discriminator", func(p *Parts) { p.Discriminators = []string{"https://example.com/", "203.0.113.18"} }},
		{"discriminators swapped", func(p *Parts) { p.Discriminators = []string{"203.0.113.17", "https://example.com/"} }},
		{"discriminators joined", func(p *Parts) { p.Discriminators = []string{"https://example.com/203.0.113.17"} }},
		{"a discriminator moved", func(p *Parts) { p.Discriminators = []string{"https://example.com/2", "03.0.113.17"} }},
		{"a letter moved", func(p *Parts) { p.Source, p.Provider = "acmem", "ailjet" }},
		{"no time", func(p *Parts) { p.Time = time.Time{} }},
		{"no time, a stamp", func(p *Parts) { p.Time, p.Stamp = time.Time{}, "soon" }},
		{"beyond 48 bits", func(p *Parts) { p.Time, p.Stamp = time.UnixMilli(1<<48), "281474976710656" }},
	} {
		p := parts()
		tt.change(&p)
		got := id(p)
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have one id", tt.name, other)
		}
		seen[got] = tt.name
	}
}

func TestID_IgnoresTheStampOfAReadableTimeAndTheZone(t *testing.T) {
	t.Parallel()
	p := parts()
	p.Stamp = "1767225733.123"
	p.Time = p.Time.In(time.FixedZone("x", 3600))
	if got, want := id(p), id(parts()); got != want {
		t.Errorf("id %q, want %q", got, want)
	}
}

func BenchmarkID(b *testing.B) {
	p := parts()
	var scratch []byte
	b.ReportAllocs()
	for b.Loop() {
		_, scratch = ID(&p, scratch)
	}
}
