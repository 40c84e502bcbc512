package page

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
)

// spoken is an address in every text that alerting and analytics have of people.
const spoken = "ana.secret@list.example"

var spokenForm = regexp.MustCompile(`ana\.secret`)

// answers is what all services say, with an address in every text of it.
func answers(t *testing.T) string {
	t.Helper()
	at := time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC)
	about := "about " + spoken
	labels := map[string]string{"campaign": about, "source": "shop", "tag": about}
	alert := schemas.Alert{
		Incident: "inc-1", Rule: "block_spike", Labels: labels, State: schemas.AlertFiring, Value: .5, Threshold: .1, Since: at, UpdatedAt: at, Window: "15m",
		Reasons:  []schemas.ReasonCount{{Reason: "unknown", Count: 5, Sample: about}},
		Carriers: []schemas.AlertCarrier{{Dimension: "campaign", Value: about, Bad: 5}},
	}
	silence := schemas.AlertSilence{ID: "sil-1", Matchers: []schemas.AlertMatcher{{Label: "campaign", Op: schemas.MatchEqual, Value: about}}, Until: at, By: "olga", Comment: about}
	text, err := json.Marshal(map[string]any{
		"alert": alert, "alerts": []schemas.Alert{alert}, "silences": []schemas.AlertSilence{silence}, "acknowledgements": []schemas.AlertAck{{By: "olga", At: at, Note: about}},
		"timeline":     []schemas.AlertStep{{At: at, Kind: "note", By: "olga", Detail: about}},
		"operations":   []schemas.Operation{{ID: "op-1", Kind: schemas.OperationRedrive, State: schemas.OperationRunning, Note: about, Error: about, By: "olga", StartedAt: at}},
		"suppressions": []map[string]any{{"address": spoken, "recipient_hash": strings.Repeat("a1", 16), "reason": "manual", "scope": "account", "since": at, "note": about}},
		"suppressed":   []map[string]any{{"address": spoken, "recipient_hash": strings.Repeat("a1", 16), "reason": "manual", "scope": "account", "since": at, "note": about, "matched": ""}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPages_ShowNoAddressOfWhatServicesSay has every page of a viewer and of support show
// what the services say, to people and to programs.
func TestPages_ShowNoAddressOfWhatServicesSay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.says = answers(t)
	shown := map[string]string{"/": "block_spike", "/incidents": "olga", "/incidents/inc-1": "olga", "/rules": "@list.example", "/dead-letters": "redrive", "/suppressions": "@list.example"}
	for _, role := range []string{"viewer", "support", "operator"} {
		for target, has := range shown {
			for _, accept := range []string{"text/html", "application/json"} {
				r := httptest.NewRequest(http.MethodGet, target, nil)
				r.Header.Set("Accept", accept)
				w := d.ask(r, role)
				text := w.Body.String()
				if w.Code != http.StatusOK || !strings.Contains(text, has) {
					t.Fatalf("%s is answered %d to %s: %s", target, w.Code, role, text)
				}
				whole := spokenForm.FindAllString(text, -1)
				if role != "operator" && len(whole) > 0 {
					t.Errorf("%s shows %s, as %s, %d whole addresses", target, role, accept, len(whole))
				}
				if role == "operator" && target == "/suppressions" && len(whole) == 0 {
					t.Errorf("%s shows an operator no address", target)
				}
			}
		}
	}
	w := d.ask(form("/suppressions/check", "address", spoken), "support")
	if text := w.Body.String(); w.Code != http.StatusOK || spokenForm.MatchString(text) || !strings.Contains(text, "a•••@list.example") {
		t.Errorf("support is told, with %d: %s", w.Code, text)
	}
}

// TestChanges_SayWhatTheFormSaid looks at what reaches the services.
func TestChanges_SayWhatTheFormSaid(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		r    *http.Request
		says string // of the services
		want []string
	}{
		"lift":            {form("/suppressions/lift", "address", spoken, "note", "typo"), "", []string{`"address":"` + spoken + `"`, `"consent":false`, `"note":"typo (operator)"`}},
		"lift, consented": {form("/suppressions/lift", "address", spoken, "note", "typo", "consent", "yes"), "", []string{`"consent":true`}},
		"lift, many":      {form("/suppressions/lift", "address", "*@GoogleMail.com", "note", "over"), "", []string{`"address":"*@gmail.com"`, `"note":"over (operator)"`}},
		"lift, one entry": {form("/suppressions/lift", "address", "mailbox_provider:google", "note", "over", "only", "manual stream:news"), "", []string{`"address":"mailbox_provider:google"`, `"reason":"manual"`, `"scope":"stream:news"`}},
		"add, many":       {form("/suppressions/add", "address", "*@*.list.example", "scope", "stream:news", "expires", "2026-05-01"), "", []string{`"address":"*@*.list.example"`, `"scope":"stream:news"`, `"expires":"2026-05-01"`}},
		"add":             {form("/suppressions/add", "address", spoken), "", []string{`"reason":"manual"`, `"note":"(operator)"`}},
		"dry run":         {form("/dead-letters/redrive", "service", "ingress", "reason", "no_type", "provider", "mailjet", "source", "shop", "dry_run", "true"), "", []string{`"dry_run":true`, `"service":"ingress"`, `"reason":"no_type"`, `"provider":"mailjet"`, `"source":"shop"`}},
		"redrive":         {form("/dead-letters/redrive", "service", "ingress", "reason", "no_type", "dry_run", "false"), "", []string{`"dry_run":false`, `"by":"operator"`}},
		"acknowledge":     {form("/incidents/inc-1/ack", "note", "I look"), "", []string{`"by":"operator"`, `"note":"I look"`}},
		// What a silence hides is what the incident is about, to the letter.
		"silence": {form("/incidents/inc-1/silence", "for", "4h", "comment", "known"), answers(t), []string{`{"label":"rule","op":"=","value":"block_spike"}`, `{"label":"campaign","op":"=","value":"about ` + spoken + `"}`, `"until":"2026-03-04T13:00:00Z"`, `"comment":"known"`}},
	} {
		d := newDesk(t)
		d.says = tc.says
		if w := d.ask(tc.r, "operator"); w.Code >= 400 {
			t.Errorf("%s is answered %d: %s", name, w.Code, w.Body)
		}
		sent := ""
		for i, text := range d.bodies {
			if !strings.HasPrefix(d.calls[i], "GET ") {
				sent = text
			}
		}
		for _, want := range tc.want {
			if !strings.Contains(sent, want) {
				t.Errorf("%s sends %s, want %s", name, sent, want)
			}
		}
	}
}

// TestPersonal_IsAnIDWithTheAddressInIt has ids as providers make them.
func TestPersonal_IsAnIDWithTheAddressInIt(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"":                   false,
		"576460761234567892": false,
		"20130503182626.18666.16540@mg.shop.example":        false, // Mailgun
		"parcel.7@smtp-relay.mailin.fr":                     false,
		"Ana.Secret@list.example":                           true,
		"bounce-20261130-ana.secret=list.example@shop.test": true,
		"20261130123456-ana.secret%40list.example":          true,
		"ana.secret-7": false, // a name alone is no address
	} {
		if got := history.Personal(id, spoken); got != want {
			t.Errorf("%q has an address in it: %t, want %t", id, got, want)
		}
	}
	if !history.Personal("7@shop.test", "") {
		t.Error("an id has no address in it although it is not known to whom it was sent")
	}
	e := history.Event{MessageID: "20130503182626.18666.16540@mg.shop.example", Recipient: spoken, Subject: "to " + spoken, SMTPReply: spoken, URL: "https://x.test/?e=" + spoken, UserAgent: spoken, Campaign: spoken, Template: spoken, BlocklistURL: spoken}
	hide(&e)
	if text, err := json.Marshal(e); err != nil || spokenForm.Match(text) || e.MessageID != "20130503182626.18666.16540@mg.shop.example" {
		t.Errorf("%v, support sees %s", err, text)
	}
	e.MessageID, e.Personal = "verp+ana.secret=list.example@shop.test", true
	if hide(&e); spokenForm.MatchString(e.MessageID) {
		t.Errorf("support sees the id %s", e.MessageID)
	}
}

// TestCSV_SaysWhatIsMissing has a table that was cut, and one that is not known.
func TestCSV_SaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	d := deliverabilityData{By: "campaign", Shows: []string{"delivered"}, Rows: []breakdown{{"a", 2, map[string]Rate{"delivered": {1, 2}}}}}
	if rows := d.csv(); len(rows) != 2 {
		t.Errorf("all of it is %v", rows)
	}
	d.Cut = true
	rows := d.csv()
	if last := rows[len(rows)-1]; len(rows) != 3 || len(last) != len(rows[0]) || !strings.HasPrefix(last[0], "cut: these are the first 50 by volume") {
		t.Errorf("a part of it is %v", rows)
	}
	w := newDesk(t).ask(httptest.NewRequest(http.MethodGet, "/deliverability?format=csv", nil), "viewer")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "ClickHouse: it does not answer") || strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("without ClickHouse the table is answered %d %s", w.Code, w.Body)
	}
}
