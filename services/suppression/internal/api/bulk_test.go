package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// mailless says whether the address is suppressed.
func (f *fixture) mailless(address string) bool {
	f.tb.Helper()
	return len(f.check(object{"addresses": []string{address}}).Suppressed) == 1
}

func TestHistory_HasEveryAddAndLift(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 3 {
		f.put(object{"address": "a@example.com", "note": fmt.Sprintf("asked %d", i)})
		f.ok("POST", "/v1/suppressions/remove", object{"address": "a@example.com", "note": fmt.Sprintf("came back %d", i)}, nil)
	}
	f.put(object{"address": "a@example.com", "note": "left"})
	var got struct {
		Steps []struct {
			Action, Note string
			Active       bool
			Evidence     struct {
				RequestID string `json:"request_id"`
			}
		}
	}
	f.ok("GET", "/v1/suppressions/history?address=A@example.com", nil, &got)
	var said []string
	for _, s := range got.Steps {
		said = append(said, fmt.Sprint(s.Action, " ", s.Note, " ", s.Active, " ", s.Evidence.RequestID != ""))
	}
	want := "added asked 0 false true, lifted came back 0 false true, added asked 1 false true, lifted came back 1 false true, " +
		"added asked 2 false true, lifted came back 2 false true, added left true true"
	if strings.Join(said, ", ") != want {
		t.Errorf("%v", said)
	}
}

func TestList_ByDomainScopeSourceAndTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(object{"address": "a@example.com", "list": "7"})
	f.put(object{"address": "b@example.org", "reason": "complaint"})
	for query, want := range map[string]int{
		"reason=complaint": 1, "domain=EXAMPLE.com": 1, "scope=list:7": 1, "source=none": 0,
		"added_from=2100-01-01T00:00:00Z": 0, "added_from=2020-01-01T00:00:00Z&added_to=2100-01-01T00:00:00Z": 2,
	} {
		var page answer
		if f.ok("GET", "/v1/suppressions?"+query, nil, &page); len(page.Suppressions) != want {
			t.Errorf("%s: %v, want %d", query, page.Suppressions, want)
		}
	}
	for _, query := range []string{"domain=", "scope=world", "added_from=x", "added_from=2026-01-02T00:00:00Z&added_to=2026-01-01T00:00:00Z"} {
		if w := f.do("GET", "/v1/suppressions?"+query, ""); w.Code != 400 {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

func TestBulk_AllOrNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("a%d@example.com", i))
	}
	var got answer
	f.ok("POST", "/v1/suppressions/bulk", object{"action": "add", "addresses": many, "stream": "news", "note": "n"}, &got)
	if got.Changed != 3000 || got.Token == "" || len(f.check(object{"addresses": many}).Suppressed) != 3000 {
		t.Fatalf("%+v", got)
	}
	f.ok("POST", "/v1/suppressions/bulk", object{"action": "lift", "addresses": many[:10], "note": "n"}, &got)
	if got.Changed != 10 || f.mailless("a9@example.com") || !f.mailless("a10@example.com") {
		t.Errorf("%+v", got)
	}
	f.put(object{"address": "spam@example.com", "reason": "complaint"})
	for _, tt := range []struct {
		body string
		want int
	}{
		{`{"action":"add","addresses":["x@example.com","nobody"]}`, 400},
		{`{"action":"lift","addresses":["a10@example.com"]}`, 400},
		{`{"action":"drop","addresses":["x@example.com"]}`, 400},
		{`{"action":"add","addresses":[]}`, 400},
		{`{"action":"add","addresses":["x@example.com"],"reason":"x"}`, 400},
		{`{"action":"lift","note":"n","addresses":["a11@example.com","spam@example.com"]}`, 409},
		{`{"action":"lift","note":"n","consent":true,"addresses":["spam@example.com"]}`, 200},
		{`{"action":"add","addresses":["y@example.com"],"expires":"2020-01-01","note":"past"}`, 400},
	} {
		if w := f.do("POST", "/v1/suppressions/bulk", tt.body); w.Code != tt.want {
			t.Errorf("%s: %d %s", tt.body, w.Code, w.Body)
		}
	}
	if f.mailless("x@example.com") || !f.mailless("a11@example.com") {
		t.Error("a refused call changed something")
	}
}
