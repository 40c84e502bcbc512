package simulate

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// written returns one fact as a provider writes it, with what wraps it taken off.
func written(t *testing.T, provider string, e schemas.Event, attempt int) (text string, header map[string]string) {
	t.Helper()
	entry, ok := registry.Find(provider)
	if !ok {
		t.Fatalf("no provider %s", provider)
	}
	f := providertest.Happened(e.Type, e.BounceType, e.SMTPReply)
	f.Event.Time = time.Unix(1767225600, 0).UTC()
	r := providertest.Play(t, entry.Dialect, f, attempt)
	switch provider {
	case "ses":
		var m struct{ Message string }
		if err := json.Unmarshal(r.Body, &m); err != nil {
			t.Fatal(err)
		}
		return m.Message, r.Header
	case "mandrill":
		form, err := url.ParseQuery(string(r.Body))
		if err != nil {
			t.Fatal(err)
		}
		return form.Get("mandrill_events"), r.Header
	default:
		return string(r.Body), r.Header
	}
}

// TestDialects_WriteFieldsWhereTheProviderHasThem names what once stood
// elsewhere than in the provider's documentation.
func TestDialects_WriteFieldsWhereTheProviderHasThem(t *testing.T) {
	t.Parallel()
	delivered := schemas.Event{Type: schemas.Delivered, SMTPReply: "250 2.0.0 queued"}
	hard := schemas.Event{Type: schemas.Bounced, BounceType: schemas.Hard, SMTPReply: "550 5.1.1 no such user"}
	blocked := schemas.Event{Type: schemas.Blocked, SMTPReply: "550 5.7.1 refused"}
	for _, tt := range []struct {
		provider string
		event    schemas.Event
		want     string
		not      string
	}{
		{"ses", hard, `"status":"5.1.1"`, `"status":""`},
		{"ses", hard, `"action":"failed"`, ""},
		{"ses", blocked, `"diagnosticCode":"smtp; 550 5.7.1 refused"`, "Permanent"},
		{"mandrill", delivered, `"smtp_events":[{"ts":1767225600,"type":"sent","diag":"250 2.0.0 queued"`, `"diag":"smtp;`},
		{"mandrill", hard, `"diag":"smtp;550 5.1.1 no such user"`, "smtp_events"},
		{"mandrill", schemas.Event{Type: schemas.Clicked}, `"url":"https:\/\/shop.example.com\/offer"`, "://"},
		{"postmark", delivered, `"DeliveredAt":"2026-01-01T00:00:00.0000000Z"`, ""},
		{"postmark", delivered, `"Details":"smtp;250 2.0.0 queued"`, ""},
	} {
		t.Run(tt.provider+" "+string(tt.event.Type), func(t *testing.T) {
			t.Parallel()
			text, _ := written(t, tt.provider, tt.event, 0)
			if !strings.Contains(text, tt.want) || tt.not != "" && strings.Contains(text, tt.not) {
				t.Errorf("want %s and not %s in %s", tt.want, tt.not, text)
			}
		})
	}
}

func TestSES_PostsWithTheHeadersOfSNS(t *testing.T) {
	t.Parallel()
	e := schemas.Event{Type: schemas.Opened}
	text, first := written(t, "ses", e, 0)
	again, second := written(t, "ses", e, 1)
	if text != again || first["x-amz-sns-message-id"] == second["x-amz-sns-message-id"] {
		t.Errorf("a record that is sent again: %s, then %s; %v, then %v", text, again, first, second)
	}
	for _, name := range []string{"x-amz-sns-message-id", "x-amz-sns-topic-arn", "x-amz-sns-subscription-arn"} {
		if first[name] == "" {
			t.Errorf("no header %s", name)
		}
	}
}
