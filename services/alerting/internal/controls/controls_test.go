package controls

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func match(label, op, value string) schemas.AlertMatcher {
	return schemas.AlertMatcher{Label: label, Op: op, Value: value}
}

func alert() *schemas.Alert {
	return &schemas.Alert{
		Rule: "block_spike", Incident: "inc-0000000001", State: schemas.AlertFiring, Since: noon,
		Labels: map[string]string{"source": "acme", "recipient_domain": "mail.example.com"},
	}
}

func TestMatchers_SelectByEveryOperator(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		matchers []schemas.AlertMatcher
		want     bool
	}{
		{[]schemas.AlertMatcher{match("source", "=", "acme")}, true},
		{[]schemas.AlertMatcher{match("source", "=", "Acme")}, false},
		{[]schemas.AlertMatcher{match("rule", "=", "block_spike")}, true},
		{[]schemas.AlertMatcher{match("metric", "=", "block_rate"), match("severity", "=", "critical")}, true}, // as the record means it
		{[]schemas.AlertMatcher{match("severity", "=", "warning")}, false},
		{[]schemas.AlertMatcher{match("source", "=", "acme"), match("recipient_domain", "!=", "a.test")}, true},
		{[]schemas.AlertMatcher{match("source", "=", "acme"), match("recipient_domain", "!=", "mail.example.com")}, false},
		{[]schemas.AlertMatcher{match("source", "=", "acme"), match("mailbox_provider", "=", "")}, true}, // it has none
		{[]schemas.AlertMatcher{match("source", "=", "acme"), match("mailbox_provider", "!=", "")}, false},
		{[]schemas.AlertMatcher{match("recipient_domain", "=~", `.*\.example\.com`)}, true},
		{[]schemas.AlertMatcher{match("recipient_domain", "=~", `example`)}, false}, // it must match all of it
		{[]schemas.AlertMatcher{match("recipient_domain", "=~", `a|mail.example.com`)}, true},
		{[]schemas.AlertMatcher{match("source", "=", "acme"), match("recipient_domain", "!~", `.*\.org`)}, true},
		{[]schemas.AlertMatcher{match("source", "=", "acme"), match("recipient_domain", "!~", `.*\.com`)}, false},
	} {
		var faults config.Problems
		m := Compile(tt.matchers, &faults)
		if err := faults.Err(); err != nil {
			t.Errorf("%v: %v", tt.matchers, err)
		}
		if got := m.Match(alert()); got != tt.want {
			t.Errorf("%v: %t, want %t", tt.matchers, got, tt.want)
		}
	}
}

// TestNewSilence_NamesEveryFault has each field at its bound and beyond.
func TestNewSilence_NamesEveryFault(t *testing.T) {
	t.Parallel()
	valid := func() schemas.AlertSilence {
		return schemas.AlertSilence{
			Matchers: []schemas.AlertMatcher{match("source", "=", "acme")},
			Until:    noon.Add(lengthMax), By: strings.Repeat("b", byMax), Comment: strings.Repeat("c", textMax),
		}
	}
	many := func(n int) []schemas.AlertMatcher {
		return slices.Repeat([]schemas.AlertMatcher{match("source", "=", "acme")}, n)
	}
	for name, tt := range map[string]struct {
		change func(*schemas.AlertSilence)
		faults []string // "field: ...", a part of each
	}{
		"all at the bound": {func(*schemas.AlertSilence) {}, nil},
		"sixteen":          {func(s *schemas.AlertSilence) { s.Matchers = many(matchersMax) }, nil},
		"seventeen":        {func(s *schemas.AlertSilence) { s.Matchers = many(matchersMax + 1) }, []string{"matchers: 17 of them, want 1 to 16"}},
		"no matcher":       {func(s *schemas.AlertSilence) { s.Matchers = nil }, []string{"matchers: 0 of them"}},
		"everything":       {func(s *schemas.AlertSilence) { s.Matchers[0] = match("source", "=~", ".*") }, []string{"matchers: they match every alert"}},
		"everything else":  {func(s *schemas.AlertSilence) { s.Matchers[0] = match("source", "!=", "acme") }, []string{"matchers: they match every alert"}},
		"unknown label":    {func(s *schemas.AlertSilence) { s.Matchers[0].Label = "colour" }, []string{`matchers[0].label: "colour" is not one of rule`}},
		"no label":         {func(s *schemas.AlertSilence) { s.Matchers[0].Label = "" }, []string{`matchers[0].label: ""`}},
		"unknown operator": {func(s *schemas.AlertSilence) { s.Matchers[0].Op = "==" }, []string{`matchers[0].op: "==" is not one of`}},
		"long value":       {func(s *schemas.AlertSilence) { s.Matchers[0].Value = strings.Repeat("v", valueMax) }, nil},
		"too long value": {
			func(s *schemas.AlertSilence) { s.Matchers[0].Value = strings.Repeat("v", valueMax+1) },
			[]string{"matchers[0].value: 257 bytes, at most 256"},
		},
		"no regexp":     {func(s *schemas.AlertSilence) { s.Matchers[0] = match("source", "=~", "a(") }, []string{"matchers[0].value: \"a(\" is not a regular expression"}},
		"no RE2":        {func(s *schemas.AlertSilence) { s.Matchers[0] = match("source", "=~", `(a)\1`) }, []string{"matchers[0].value"}},
		"huge regexp":   {func(s *schemas.AlertSilence) { s.Matchers[0] = match("source", "=~", "((a{1000}){1000}){1000}") }, []string{"matchers[0].value"}},
		"control":       {func(s *schemas.AlertSilence) { s.Matchers[0].Value = "a\x00b" }, []string{"matchers[0].value: must be UTF-8"}},
		"no end":        {func(s *schemas.AlertSilence) { s.Until = time.Time{} }, []string{"until: is missing"}},
		"ended":         {func(s *schemas.AlertSilence) { s.Until = noon }, []string{"until: 2026-11-02T12:00:00Z is not after its beginning"}},
		"too long":      {func(s *schemas.AlertSilence) { s.Until = noon.Add(lengthMax + time.Second) }, []string{"until: 2026-12-02T12:00:01Z is more than 30d after"}},
		"a week, later": {func(s *schemas.AlertSilence) { s.Since = noon.Add(aheadMax); s.Until = s.Since.Add(time.Hour) }, nil},
		"too far ahead": {func(s *schemas.AlertSilence) { s.Since = noon.Add(aheadMax + time.Second); s.Until = s.Since.Add(1) }, []string{"since: is more than 30d ahead"}},
		"began before":  {func(s *schemas.AlertSilence) { s.Since = noon.Add(-time.Hour) }, nil},
		"no author":     {func(s *schemas.AlertSilence) { s.By = " " }, []string{"by: is missing"}},
		"long author":   {func(s *schemas.AlertSilence) { s.By += "b" }, []string{"by: 101 bytes, at most 100"}},
		"two lines":     {func(s *schemas.AlertSilence) { s.By = "a\nb" }, []string{"by: must be UTF-8"}},
		"no comment":    {func(s *schemas.AlertSilence) { s.Comment = "" }, []string{"comment: is missing"}},
		"long comment":  {func(s *schemas.AlertSilence) { s.Comment += "c" }, []string{"comment: 1001 bytes, at most 1000"}},
		"comment lines": {func(s *schemas.AlertSilence) { s.Comment = "a\n\tb" }, nil},
		"all at once": {
			func(s *schemas.AlertSilence) {
				*s = schemas.AlertSilence{Matchers: []schemas.AlertMatcher{match("x", "~", "")}}
			},
			[]string{"matchers[0].label", "matchers[0].op", "until: is missing", "by: is missing", "comment: is missing"},
		},
	} {
		asked := valid()
		tt.change(&asked)
		var faults config.Problems
		s := NewSilence(asked, noon, &faults)
		err := faults.Err()
		if len(tt.faults) == 0 && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range tt.faults {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		if err == nil && (s.Since.Before(noon) || !s.CreatedAt.Equal(noon) || s.ID == "") {
			t.Errorf("%s: since %s, id %q", name, s.Since, s.ID)
		}
	}
}

func TestAckAndNote_NameEveryFault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		by, note  string
		ack, text bool // taken
	}{
		{"ana", "x", true, true},
		{"ana", "", true, false},
		{"", "x", false, false},
		{strings.Repeat("b", byMax+1), "x", false, false},
		{"ana", strings.Repeat("n", textMax), true, true},
		{"ana", strings.Repeat("n", textMax+1), false, false},
		{"ana", "\xff", false, false},
	} {
		var ack, note config.Problems
		NewAck(schemas.AlertAck{Incident: "inc-1", By: tt.by, Note: tt.note}, noon, &ack)
		NewNote(schemas.AlertNote{Incident: "inc-1", By: tt.by, Note: tt.note}, noon, &note)
		if (ack.Err() == nil) != tt.ack || (note.Err() == nil) != tt.text {
			t.Errorf("by %.9q, note %.9q: %v, %v", tt.by, tt.note, ack.Err(), note.Err())
		}
	}
}

// What people write is kept for weeks, and nobody who has to be forgotten is looked for in it.
func TestTexts_HaveNoAddress(t *testing.T) {
	t.Parallel()
	var faults config.Problems
	const text, want = "asked Bob@b.example, see https://x.example/?e=bob%40b.example", "asked B•••@b.example, see https://x.example/?•••••"
	silence := NewSilence(schemas.AlertSilence{Matchers: []schemas.AlertMatcher{match("source", "=", "acme")}, Until: noon.Add(time.Hour), By: "ana", Comment: text}, noon, &faults)
	ack := NewAck(schemas.AlertAck{Incident: "inc-0000000001", By: "ana", Note: text}, noon, &faults)
	note := NewNote(schemas.AlertNote{Incident: "inc-0000000001", By: "ana", Note: text}, noon, &faults)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{silence.Comment, ack.Note, note.Note} {
		if got != want {
			t.Errorf("kept %q, want %q", got, want)
		}
	}
}

func TestWindow_HoldsByTheClockOfItsZone(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		tm, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	w := Window{Name: "n", Start: "30 2 * * sun", Duration: 2 * time.Hour, Zone: "Europe/Berlin", Matchers: []Matcher{{Label: "source", Op: "=", Value: "acme"}}}
	set := NewSet([]Window{w})
	for text, want := range map[string]bool{
		"2026-11-08T01:29:59Z": false, "2026-11-08T01:30:00Z": true, "2026-11-08T03:29:59Z": true, "2026-11-08T03:30:00Z": false, // winter: +1
		"2026-07-05T00:29:59Z": false, "2026-07-05T00:30:00Z": true, "2026-07-05T02:30:00Z": false, // summer: +2
		"2026-11-09T02:00:00Z": false, // a Monday
		"2026-03-29T01:45:00Z": false, // 02:30 does not come on the day of summer time
	} {
		if got := len(set.Hides(alert(), at(text))) > 0; got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
	if got := set.Windows(noon)[0]; got.Active || !got.Next.Equal(at("2026-11-08T01:30:00Z")) {
		t.Errorf("shown as %+v", got)
	}
}

func TestWindow_NamesEveryFault(t *testing.T) {
	t.Parallel()
	valid := Window{Name: strings.Repeat("n", nameMax), Start: "0 2 * * *", Duration: windowMax, Matchers: []Matcher{{Label: "source", Op: "=", Value: "acme"}}}
	for name, tt := range map[string]struct {
		change func(*Window)
		fault  string
	}{
		"valid":       {func(*Window) {}, ""},
		"shortest":    {func(w *Window) { w.Duration = windowMin }, ""},
		"no name":     {func(w *Window) { w.Name = "" }, "name"},
		"long name":   {func(w *Window) { w.Name += "n" }, "name"},
		"too short":   {func(w *Window) { w.Duration = windowMin - 1 }, "duration"},
		"too long":    {func(w *Window) { w.Duration = windowMax + 1 }, "duration"},
		"no zone":     {func(w *Window) { w.Zone = "Europe/Berlim" }, "zone"},
		"local zone":  {func(w *Window) { w.Zone = "Local" }, "zone"},
		"path":        {func(w *Window) { w.Zone = "../x" }, "zone"},
		"no start":    {func(w *Window) { w.Start = "" }, "start"},
		"six fields":  {func(w *Window) { w.Start = "0 0 2 * * *" }, "start"},
		"minute 60":   {func(w *Window) { w.Start = "60 2 * * *" }, "start"},
		"never":       {func(w *Window) { w.Start = "0 2 30 2 *" }, "start"},
		"interval":    {func(w *Window) { w.Start = "@every 1h" }, "start"},
		"zone inside": {func(w *Window) { w.Start = "TZ=" }, "start"},
		"long start":  {func(w *Window) { w.Start = "0 2 * * " + strings.Repeat("1,", 70) + "1" }, "start"},
		"no matcher":  {func(w *Window) { w.Matchers = nil }, "matchers"},
		"bad matcher": {func(w *Window) { w.Matchers = []Matcher{{Label: "source", Op: "is", Value: "x"}} }, "matchers[0].op"},
		"comment":     {func(w *Window) { w.Comment = strings.Repeat("c", textMax+1) }, "comment"},
	} {
		w := valid
		tt.change(&w)
		var faults config.Problems
		w.Validate(&faults)
		if err := faults.Err(); tt.fault == "" && err != nil || tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault+": ")) {
			t.Errorf("%s: %v, want a fault of %q", name, err, tt.fault)
		}
	}
}

// apply puts controls into s, and wants all of them readable.
func apply(t *testing.T, s *Set, list ...schemas.AlertControl) {
	t.Helper()
	for _, c := range list {
		rec, err := Record("controls", c)
		if err != nil {
			t.Fatal(err)
		}
		if n := s.Apply([]*kgo.Record{rec}); n != 0 {
			t.Fatalf("%s is not readable", c.Key())
		}
	}
}

func TestSet_KeepsWhatIsSaidUntilItsTombstone(t *testing.T) {
	t.Parallel()
	s := NewSet(nil)
	silence := schemas.AlertSilence{ID: "sil-1", Matchers: []schemas.AlertMatcher{match("source", "=", "acme")}, Since: noon, Until: noon.Add(time.Hour), CreatedAt: noon}
	ack := schemas.AlertAck{Incident: "inc-1", By: "ana", At: noon}
	note := schemas.AlertNote{ID: "note-1", Incident: "inc-1", By: "ana", At: noon, Note: "x"}
	ended := schemas.Alert{Incident: "inc-1", ResolvedAt: noon}
	apply(t, s, schemas.AlertControl{Silence: &silence}, schemas.AlertControl{Acks: []schemas.AlertAck{ack}}, schemas.AlertControl{Note: &note}, schemas.AlertControl{Ended: &ended})
	for at, want := range map[time.Duration]bool{-1: false, 0: true, time.Hour - 1: true, time.Hour: false} {
		if got := len(s.Hides(alert(), noon.Add(at))) == 1; got != want {
			t.Errorf("after %s: hides is %t, want %t", at, got, want)
		}
	}
	if s.Ack("inc-1") == nil || len(s.Notes("inc-1")) != 1 || len(s.Silences()) != 1 {
		t.Error("something is lost")
	}
	if _, ok := s.Ended("inc-1"); !ok {
		t.Error("the incident is lost")
	}
	known := func(string) bool { return false }
	if keys := s.Outdated(noon.Add(keepEnded), known); len(keys) != 0 {
		t.Errorf("deleted too soon: %v", keys)
	}
	keys := s.Outdated(noon.Add(keepEnded+time.Hour+1), known)
	if diff := cmp.Diff([]string{"ack/inc-1", "incident/inc-1", "note/inc-1/note-1", "silence/sil-1"}, keys); diff != "" {
		t.Errorf("to delete (-want +got):\n%s", diff)
	}
	if keys := s.Outdated(noon.Add(keepEnded+1), func(string) bool { return true }); slices.Contains(keys, "ack/inc-1") {
		t.Errorf("what is said of an incident that lasts is deleted: %v", keys)
	}
	for _, key := range keys {
		s.Apply([]*kgo.Record{Tombstone("controls", key)})
	}
	if len(s.Silences())+len(s.Notes("inc-1"))+len(s.Acks("inc-1")) != 0 || len(s.notes)+len(s.ended) != 0 {
		t.Error("something is left")
	}
}

func TestSet_BoundsTheIncidentsThatAreOver(t *testing.T) {
	t.Parallel()
	s := NewSet(nil)
	for i := range endedMax + 3 {
		apply(t, s, schemas.AlertControl{Ended: &schemas.Alert{Incident: fmt.Sprintf("inc-%05d", i), ResolvedAt: noon.Add(time.Duration(i) * time.Second)}})
	}
	if diff := cmp.Diff([]string{"incident/inc-00000", "incident/inc-00001", "incident/inc-00002"}, s.Outdated(noon, func(string) bool { return false })); diff != "" {
		t.Errorf("to delete (-want +got):\n%s", diff)
	}
}

func TestSet_PassesOverWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := NewSet(nil)
	for key, value := range map[string]string{
		"silence/a": `{`, "silence/b": `{}`, "silence/c": `{"silence":{"id":"other"}}`, "silence/": `{"silence":{"id":""}}`,
		"silence/d": `{"silence":{"id":"d","matchers":[{"label":"source","op":"=~","value":"("}]}}`,
		"ack/e":     `{"acks":[{"incident":"e"}],"note":{"incident":"e","id":"f"}}`,
		"incident/": `{"ended":{}}`,
	} {
		if n := s.Apply([]*kgo.Record{{Key: []byte(key), Value: []byte(value)}}); n != 1 {
			t.Errorf("%s was taken: %s", key, value)
		}
	}
	if len(s.silences)+len(s.acks)+len(s.notes)+len(s.ended) != 0 {
		t.Error("something was kept")
	}
}

func FuzzCompile(f *testing.F) {
	for _, m := range []schemas.AlertMatcher{match("source", "=", "acme"), match("recipient_domain", "=~", `(a|b)*\.com`), match("rule", "!~", "x{1,9}"), match("source", "!=", "\xff")} {
		f.Add(m.Label, m.Op, m.Value)
	}
	f.Fuzz(func(t *testing.T, label, op, value string) {
		var faults config.Problems
		m := Compile([]schemas.AlertMatcher{match(label, op, value)}, &faults)
		err := faults.Err()
		if matched := m.Match(alert()); err == nil && m.Match(&schemas.Alert{}) && !slices.Contains([]string{labelMetric, labelSeverity}, label) {
			t.Errorf("%s %s %q matches an alert without labels (%t)", label, op, value, matched)
		}
	})
}

func FuzzSet(f *testing.F) {
	f.Add("silence/s", []byte(`{"silence":{"id":"s","matchers":[{"label":"source","op":"=","value":"acme"}],"since":"2026-11-02T12:00:00Z","until":"2026-11-02T13:00:00Z"}}`))
	f.Add("ack/i", []byte(`{"acks":[{"incident":"i","by":"ana","at":"2026-11-02T12:00:00Z"}]}`))
	f.Add("note/i/n", []byte(`{"note":{"id":"n","incident":"i"}}`))
	f.Add("incident/i", []byte(`{"ended":{"incident":"i"}}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		s := NewSet(nil)
		rec := &kgo.Record{Key: []byte(key), Value: value}
		if s.Apply([]*kgo.Record{rec}) == 0 && len(value) > 0 {
			var c schemas.AlertControl
			if err := json.Unmarshal(value, &c); err != nil || c.Key() != key {
				t.Errorf("%q was taken with %s", key, value)
			}
		}
		s.Hides(alert(), noon)
		s.Apply([]*kgo.Record{Tombstone("controls", key)})
		if len(s.silences)+len(s.acks)+len(s.notes)+len(s.ended) != 0 {
			t.Errorf("%q is left after its tombstone", key)
		}
	})
}
