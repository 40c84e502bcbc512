package provider_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

func TestTime_ReadsWhatProvidersWrite(t *testing.T) {
	t.Parallel()
	whole := time.Date(2026, time.March, 4, 9, 15, 30, 0, time.UTC)
	for _, tt := range []struct {
		name, in string
		want     time.Time
	}{
		{"RFC 3339", `"2026-03-04T09:15:30Z"`, whole},
		{"microseconds are cut", `"2026-03-04T09:15:30.123999Z"`, whole.Add(123 * time.Millisecond)},
		{"another zone", `"2026-03-04T10:15:30+01:00"`, whole},
		{"zone after a space", `"2026-03-04T09:15:30 +0000"`, whole},
		{"zone after a time with a space in it", `"2026-03-04 10:15:30.000719+01:00"`, whole},
		{"no zone", `"2026-03-04 09:15:30"`, whole},
		{"seconds", `1772615730`, whole},
		{"seconds as text", `"1772615730"`, whole},
		{"fraction of a second", `1772615730.25`, whole.Add(250 * time.Millisecond)},
		{"no date", `"2026-13-04T09:15:30Z"`, time.Time{}},
		{"text", `"yesterday evening"`, time.Time{}},
		{"null", `null`, time.Time{}},
		{"absent", ``, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, _ := provider.Time(jsontext.Value(tt.in)); !got.Equal(tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestBatch_ReadsTagsAndMetadata(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		tags, metadata string
		wantTags       []string
		wantMetadata   map[string]string
		drift          int
	}{
		{"usual", `["a","b"]`, `{"k":"v","n":7,"z":null,"o":{"p":[1]}}`, []string{"a", "b"}, map[string]string{"k": "v", "n": "7", "o": `{"p":[1]}`}, 0},
		{"one tag", `"a"`, `{}`, []string{"a"}, nil, 0},
		{"nothing", ``, ``, nil, nil, 0},
		{"null", `null`, `null`, nil, nil, 0},
		{"empty array for an object", `[]`, `[]`, nil, nil, 0},
		{"other things", `{"a":1}`, `[1]`, nil, nil, 2},
		{"deeper", `[["a"],2]`, `"text"`, []string{"2"}, nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b provider.Batch
			for range 2 { // the second time in used memory
				b.Reset()
				it := b.Add(nil)
				b.Tags(it, jsontext.Value(tt.tags))
				b.Metadata(it, jsontext.Value(tt.metadata))
				if diff := cmp.Diff(tt.wantTags, it.Event.Tags); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.wantMetadata, it.Event.Metadata); diff != "" {
					t.Error(diff)
				}
				if len(b.Drifts()) != tt.drift {
					t.Errorf("drifts: %v", b.Drifts())
				}
			}
		})
	}
}

func TestCodes_TakesThoseOfTheStandardsOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"550": 550, "250": 250, "605": 0, "498": 0, "": 0, "0": 0, "5.1.1": 0, "550 no": 0} {
		if got := provider.SMTPCode(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]string{"5.1.1": "5.1.1", "4.7.650": "4.7.650", "": "", "550": "", "5.1": "", "9.1.1": "", "5.1.1 x": ""} {
		if got := provider.EnhancedCode(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestAddress_LeavesTheDisplayName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ana@example.com": "ana@example.com", " Ana <Ana@example.com> ": "Ana@example.com", "<a@b.c>": "a@b.c", "a<b": "a<b", "": "",
		"< a@b.c >": "a@b.c", "a@b.c (Ana)": "a@b.c", `"Ana, (B)" <a@b.c>`: "a@b.c", "(Ana)": "(Ana)",
		`"a<b>" <a@b.c>`: "a@b.c", `"Ana \">" <a@b.c>`: "a@b.c", "mailto:a@b.c": "a@b.c", "Ana <MailTo:a@b.c>": "a@b.c", "mailto:": "mailto:",
		`"A" <a@b.c>, "B" <d@e.f>`: `"A" <a@b.c>, "B" <d@e.f>`,
		// Several are nobody: the last one is as wrong as the first.
		"Ana <a@b.c>, Bo <d@e.f>": "Ana <a@b.c>, Bo <d@e.f>", "a@b.c, d@e.f (Bo)": "a@b.c, d@e.f (Bo)",
	} {
		if got := provider.Address(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
