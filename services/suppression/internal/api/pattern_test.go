package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Check and explain name the same entry: the hardest reason, then the narrowest of what
// stands for the address, then the widest scope.
func TestCheck_WhatStandsForManyAddresses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, put := range []string{
		`{"address":"*@example.com","stream":"marketing"}`,
		`{"address":"*@*.example.com","reason":"provider_suppressed"}`,
		`{"address":"mailbox_provider:google","stream":"marketing","expires":"2100-01-01"}`,
		`{"address":"*@googlemail.com","scope":"source:acme"}`,
		`{"address":"own@example.com","reason":"unsubscribe"}`,
		`{"address":"dead@example.com","reason":"hard_bounce"}`,
	} {
		if w := f.do("PUT", "/v1/suppressions", put); w.Code != 200 {
			t.Fatalf("%s: %d %s", put, w.Code, w.Body)
		}
	}
	tests := []struct{ address, stream, source, want string }{
		{"a@example.com", "marketing", "", "manual stream:marketing *@example.com"},
		{"a@example.com", "transactional", "", ""},
		{"a@EXAMPLE.com.", "", "", "manual stream:marketing *@example.com"},
		{"a@b.example.com", "transactional", "", "provider_suppressed account *@*.example.com"},
		{"a@c.b.example.com", "marketing", "", "provider_suppressed account *@*.example.com"},
		{"a@xexample.com", "marketing", "", ""},
		{"a@gmail.com", "marketing", "other", "manual stream:marketing mailbox_provider:google"},
		{"a@gmail.com", "marketing", "acme", "manual source:acme *@gmail.com"},
		{"a@googlemail.com", "transactional", "acme", "manual source:acme *@gmail.com"},
		{"a@gmail.com", "transactional", "other", ""},
		{"own@example.com", "marketing", "", "manual stream:marketing *@example.com"},
		{"own@example.com", "other", "", "unsubscribe account "},
		{"dead@example.com", "marketing", "", "hard_bounce account "},
	}
	for _, tt := range tests {
		t.Run(strings.Join([]string{tt.address, tt.stream, tt.source}, " "), func(t *testing.T) {
			asked, err := json.Marshal(object{"addresses": []string{tt.address}, "stream": tt.stream, "source": tt.source, "explain": true})
			if err != nil {
				t.Fatal(err)
			}
			type view struct {
				Reason, Scope, Matched string
				Applies                bool
			}
			var got struct {
				Suppressed []struct {
					view
					Entries []view
				}
			}
			w := f.do("POST", "/v1/suppressions/check", string(asked))
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			said := ""
			if len(got.Suppressed) > 0 {
				s := got.Suppressed[0]
				said = s.Reason + " " + s.Scope + " " + s.Matched
				s.Applies = true
				if !strings.Contains(w.Body.String(), `"advice"`) && s.Reason == "provider_suppressed" {
					t.Errorf("it is not said what to do: %s", w.Body)
				}
				found := false
				for _, e := range s.Entries {
					found = found || e == s.view
				}
				if !found {
					t.Errorf("explain says otherwise: %s", w.Body)
				}
			}
			if diff := cmp.Diff(tt.want, said); diff != "" {
				t.Errorf("check (-want +got):\n%s", diff)
			}
		})
	}
	if w := f.do("POST", "/v1/suppressions/remove", `{"address":"*@gmail.com","note":"over"}`); w.Code != 200 || !strings.Contains(w.Body.String(), `"changed":1`) {
		t.Errorf("remove: %d %s", w.Code, w.Body)
	}
	if w := f.do("GET", "/v1/suppressions/history?address=a@gmail.com", ""); !strings.Contains(w.Body.String(), `"matched":"*@gmail.com"`) {
		t.Errorf("history: %s", w.Body)
	}
}

// TestCheck_ItsTokenCoversThePatternsOfTheAnswer asks a replica that has what is known of
// the address itself, and not the pattern.
func TestCheck_ItsTokenCoversThePatternsOfTheAnswer(t *testing.T) {
	t.Parallel()
	f, behind := newFixture(t), newFixture(t)
	f.put(object{"address": "*@example.com"})
	for _, want := range []int{1, 0} { // after the put, and after the remove
		maps.Copy(f.follower.applied, f.topic.ends)
		for n := range 20 { // of all partitions
			got := f.check(object{"addresses": []string{fmt.Sprintf("u%d@example.com", n)}})
			if len(got.Suppressed) != want {
				t.Fatalf("%+v, want %d", got.Suppressed, want)
			}
			asked, _ := json.Marshal(object{"addresses": []string{"u@example.com"}, "min_token": got.Token})
			if w := behind.do("POST", "/v1/suppressions/check", string(asked)); w.Code != 409 {
				t.Errorf("token %s: %d %s", got.Token, w.Code, w.Body)
			}
		}
		maps.Copy(behind.follower.applied, f.topic.ends)
		f.ok("POST", "/v1/suppressions/remove", object{"address": "*@example.com", "note": "over"}, nil)
	}
}

// TestPattern_IsWholeWhereAddressesAreMasked has a masked page of the list name what is
// nobody's, and leave no entry in the audit.
func TestPattern_IsWholeWhereAddressesAreMasked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, address := range []string{"*@paused.example", "*@*.below.example", "mailbox_provider:google", "ana@someone.example"} {
		if w := f.do("PUT", "/v1/suppressions", `{"address":"`+address+`"}`); w.Code != 200 {
			t.Fatalf("%s: %d %s", address, w.Code, w.Body)
		}
	}
	text := f.do("GET", "/v1/suppressions?addresses=masked", "").Body.String()
	for _, want := range []string{`"*@paused.example"`, `"*@*.below.example"`, `"mailbox_provider:google"`, `"a•••@someone.example"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s: %s", want, text)
		}
	}
}
