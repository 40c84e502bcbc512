package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/pipeline"
)

// ruling is what forbids a mail: reason, scope, and what stands for the address; "" for
// what may be sent.
type ruling struct{ Reason, Scope, Matched string }

// asking is a mail that is asked about.
type asking struct{ address, stream, list, source string }

// listing is a list with every scope, reason and pattern. Each line is one entry.
const listing = `
ana@gmail.com account unsubscribe
ana@gmail.com stream:marketing manual
cy@example.com list:17 complaint
cy@example.com list:18 manual
cy@example.com source:acme provider_suppressed
dan@example.com stream:marketing soft_bounce
dan@example.com stream:transactional unsubscribe
dan@example.com list:17 unsubscribe
dan@example.com source:acme unsubscribe
eve@gmx.de account provider_suppressed
eve@gmx.de list:17 provider_suppressed
*@sub.example.org account manual
*@*.example.org account manual
*@*.example.org stream:marketing complaint
*@googlemail.com list:17 hard_bounce
mailbox_provider:gmx stream:marketing manual
mailbox_provider:gmx source:acme hard_bounce
mailbox_provider:yahoo account manual`

// TestPrecedence_IsOneInCheckExplainAndSQL asks for every mail in four ways: a check, a
// check with explain, the stream of checks, and the view suppressed_for.
func TestPrecedence_IsOneInCheckExplainAndSQL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api, entries := w.stack.URL(pipeline.Suppression)+"/v1/suppressions", 0
	for line := range strings.Lines(strings.TrimSpace(listing)) {
		field := strings.Fields(line)
		body := jsonOf(t, map[string]string{"address": field[0], "scope": field[1], "reason": field[2]})
		if status, text := w.call(http.MethodPut, api, body, bearer); status != http.StatusOK {
			t.Fatalf("%s: %d %s", body, status, text)
		}
		entries++
	}
	w.wantSQL("SELECT count() FROM suppressions WHERE active", fmt.Sprint(entries))
	want := map[asking]ruling{
		{"ana@gmail.com", "", "", ""}:                      {"hard_bounce", "list:17", "*@gmail.com"},
		{"Ana@GoogleMail.com", "marketing", "18", "x"}:     {"manual", "stream:marketing", ""},
		{"ana@googlemail.com", "transactional", "", ""}:    {},
		{"ana@googlemail.com", "transactional", "17", ""}:  {"hard_bounce", "list:17", "*@gmail.com"},
		{"cy@example.com", "marketing", "", "x"}:           {"complaint", "list:17", ""},
		{"cy@example.com", "marketing", "18", "acme"}:      {"manual", "list:18", ""},
		{"cy@example.com", "transactional", "", "acme"}:    {"provider_suppressed", "source:acme", ""},
		{"dan@example.com", "transactional", "17", "acme"}: {"unsubscribe", "stream:transactional", ""},
		{"dan@example.com", "other", "17", "acme"}:         {"unsubscribe", "list:17", ""},
		{"eve@gmx.de", "other", "17", "x"}:                 {"provider_suppressed", "account", ""},
		{"eve@gmx.de", "marketing", "17", "x"}:             {"manual", "stream:marketing", "mailbox_provider:gmx"},
		{"eve@gmx.de", "marketing", "17", "acme"}:          {"hard_bounce", "source:acme", "mailbox_provider:gmx"},
		{"x@sub.example.org", "other", "", ""}:             {"manual", "account", "*@sub.example.org"},
		{"x@deep.sub.example.org", "other", "", ""}:        {"manual", "account", "*@*.example.org"},
		{"x@sub.example.org", "marketing", "", ""}:         {"complaint", "stream:marketing", "*@*.example.org"},
		{"x@example.org", "marketing", "", ""}:             {},
		{"zed@yahoo.co.uk", "marketing", "", ""}:           {"manual", "account", "mailbox_provider:yahoo"},
		{"zed@yahoo.co.jp", "marketing", "", ""}:           {},
		{"zed@gmx.fr", "marketing", "", ""}:                {"hard_bounce", "source:acme", "mailbox_provider:gmx"},
		{"new@example.com", "", "", ""}:                    {},
	}
	asked := map[asking]bool{}
	for q := range want {
		for _, stream := range []string{q.stream, "transactional"} {
			asked[asking{q.address, stream, q.list, q.source}] = true
		}
	}
	for q := range asked {
		checked, explained := w.ruling(t, api, q, false), w.ruling(t, api, q, true)
		streamed, inSQL := w.streamed(t, api, q), w.inSQL(q)
		if expected, ok := want[q]; ok && checked != expected {
			t.Errorf("%+v: check says %+v, want %+v", q, checked, expected)
		}
		for way, says := range map[string]ruling{"explain": explained, "the stream": streamed, "SQL": inSQL} {
			if says != checked {
				t.Errorf("%+v: check says %+v, %s says %+v", q, checked, way, says)
			}
		}
	}
}

// ruling asks a check. With explain, the entry that is named has to be the first of those
// that apply, by its reason.
func (w *world) ruling(t *testing.T, api string, q asking, explain bool) ruling {
	t.Helper()
	body := jsonOf(t, map[string]any{"addresses": []string{q.address}, "stream": q.stream, "list": q.list, "source": q.source, "explain": explain})
	_, text := w.call(http.MethodPost, api+"/check", body, bearer)
	var answer struct {
		Suppressed []struct {
			ruling
			Entries []struct {
				ruling
				Applies bool
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(answer.Suppressed) == 0 {
		return ruling{}
	}
	if !explain {
		return answer.Suppressed[0].ruling
	}
	hardest := []string{"complaint", "hard_bounce", "manual", "unsubscribe", "provider_suppressed", "soft_bounce"}
	var applies []ruling
	for _, e := range answer.Suppressed[0].Entries {
		if e.Applies {
			applies = append(applies, e.ruling)
		}
	}
	if len(applies) == 0 {
		return ruling{Reason: "none applies"}
	}
	return slices.MinFunc(applies, func(a, b ruling) int {
		return cmp.Compare(slices.Index(hardest, a.Reason), slices.Index(hardest, b.Reason))
	})
}

func (w *world) streamed(t *testing.T, api string, q asking) (says ruling) {
	t.Helper()
	var query []string
	for name, value := range map[string]string{"stream": q.stream, "list": q.list, "source": q.source} {
		if value != "" {
			query = append(query, name+"="+value)
		}
	}
	_, text := w.call(http.MethodPost, api+"/check/stream?"+strings.Join(query, "&"), jsonOf(t, map[string]string{"address": q.address})+"\n", bearer)
	if err := json.Unmarshal([]byte(text), &says); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return says
}

func (w *world) inSQL(q asking) ruling {
	transactional := 0
	if q.stream == "transactional" {
		transactional = 1
	}
	rows := w.sql(fmt.Sprintf("SELECT reason, scope, if(startsWith(matched, '*') OR startsWith(matched, 'mailbox_provider:'), matched, '') FROM suppressed_for(recipient = '%s', stream = '%s', list = '%s', source = '%s', transactional = %d)",
		q.address, q.stream, q.list, q.source, transactional))
	if len(rows) == 0 {
		return ruling{}
	}
	column := append(strings.Split(rows[0], "\t"), "", "")
	return ruling{column[0], column[1], column[2]}
}
