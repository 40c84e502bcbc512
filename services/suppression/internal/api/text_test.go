package api

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

func FuzzTexts_AreWhatTheStandardLibraryReads(f *testing.F) {
	for _, s := range []string{
		`[]`, `null`, `["a@b.c"]`, ` [ "a@b.c" , "" ]`, `["a\u0040b.c","d"]`, `["a\\"]`, `[1]`, `["a",null]`, `["ä"]`, "[\"\xff\"]", `[["a"]]`, `{"a":"b"}`, `"a"`, `["a","b",true]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want []string
		var got texts
		wantErr, err := json.Unmarshal(b, &want), json.Unmarshal(b, &got)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("read %q: %v, want %v", b, err, wantErr)
		}
		if err == nil && (!slices.Equal(got, want) || (got == nil) != (want == nil)) {
			t.Fatalf("read %q as %q, want %q", b, got, want)
		}
	})
}

// lineForbidden is the line of appendForbidden, for the standard library.
type lineForbidden struct {
	Address    string `json:"address"`
	Suppressed bool   `json:"suppressed"`
	Stale      bool   `json:"stale,omitempty"`
	entryView
}

func FuzzAnswers_AreWhatTheStandardLibraryWrites(f *testing.F) {
	f.Add("ana@example.com", "ev-1", "mailjet", "acme", "", int64(1_790_000_000_123), int64(0), false)
	f.Add("\xffä<&>\"\\\u2028@example.com", "", "", "", "a note\n", int64(0), int64(1_800_000_000_000), true)
	f.Fuzz(func(t *testing.T, address, id, provider, source, note string, at, expires int64, stale bool) {
		const years = 1e14 // in milliseconds, from 1970 to 5138: JSON has no form for all others
		moment := func(ms int64) time.Time { return time.UnixMilli((ms%years + years) % years) }
		v := entryView{
			Reason: schemas.SuppressProvider, Scope: "list:" + id, Since: moment(at).UTC(), Note: note, Matched: source, Advice: provider,
			Evidence: evidence{EventID: id, RequestID: note, Provider: provider, Source: source, Time: moment(expires).In(time.FixedZone("", 3600))},
		}
		if expires != 0 {
			v.Expires = &v.Evidence.Time
		}
		listed := suppressed{Address: address, entryView: v, Entries: []explained{{v, stale}}}
		answer := checkAnswer{Checked: 2, LagMS: expires, Stale: stale, Token: id, Invalid: []invalid{{1, address, note}}}
		empty := answer
		answer.add(&listed)
		listed.Entries = nil
		answer.add(&listed)
		listed.Entries = []explained{{v, stale}}
		for _, tc := range []struct {
			what string
			got  []byte
			want any
		}{
			{"the line of somebody listed", appendForbidden(nil, address, stale, &v), lineForbidden{address, true, stale, v}},
			{"the line of somebody else", appendAllowed(nil, address, stale), struct {
				Address    string `json:"address"`
				Suppressed bool   `json:"suppressed"`
				Stale      bool   `json:"stale,omitempty"`
			}{address, false, stale}},
			{"an answer", append(answer.text(), '\n'), wholeAnswer{[]suppressed{listed, {Address: address, entryView: v}}, answer}},
			{"an answer about nobody listed", append(empty.text(), '\n'), wholeAnswer{[]suppressed{}, empty}},
		} {
			want, err := json.Marshal(tc.want)
			if err != nil {
				t.Fatal(err)
			}
			if string(tc.got) != string(want)+"\n" {
				t.Errorf("%s\n got %s\nwant %s", tc.what, tc.got, want)
			}
		}
	})
}

// wholeAnswer is checkAnswer for the standard library.
type wholeAnswer struct {
	Suppressed []suppressed `json:"suppressed"`
	checkAnswer
}
