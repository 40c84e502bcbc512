package ingress

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
)

// elastic is the recipe's webhook with parameters behind it.
func elastic(parameters string) call {
	return call{method: http.MethodGet, path: Prefix + "elastic-email/" + recipeSecret + parameters, noAuth: true}
}

// TestRecipe_ElasticEmail gets every documented status and category into the
// type and reason of the documentation.
func TestRecipe_ElasticEmail(t *testing.T) {
	t.Parallel()
	cfg, kc := recipes(t), kafkatest.Start(t)
	applyWebhooks(t, cfg, kc)
	h := start(t, cfg, kc)
	const yes, no, unknown = "yes", "no", ""
	for _, tt := range []struct {
		status, category string
		kind             schemas.Type
		bounce           schemas.BounceType
		reason           schemas.Reason
		permanent        string
	}{
		{"Sent", "", schemas.Delivered, "", "", unknown},
		{"Opened", "", schemas.Opened, "", "", unknown},
		{"Clicked", "", schemas.Clicked, "", "", unknown},
		{"Unsubscribed", "", schemas.Unsubscribed, "", "", unknown},
		{"AbuseReport", "", schemas.Complained, "", "", unknown},
		{"Error", "NoMailbox", schemas.Bounced, schemas.Hard, schemas.InvalidRecipient, yes},
		{"error", "nomailbox", schemas.Bounced, schemas.Hard, schemas.InvalidRecipient, yes},
		{"Error", "AccountProblem", schemas.Bounced, schemas.Soft, schemas.MailboxFull, no},
		{"Error", "DNSProblem", schemas.Bounced, schemas.Soft, schemas.DomainNotFound, no},
		{"Error", "GreyListed", schemas.Bounced, schemas.Soft, schemas.Greylisted, no},
		{"Error", "Timeout", schemas.Bounced, schemas.Soft, schemas.Timeout, no},
		{"Error", "ConnectionProblem", schemas.Bounced, schemas.Soft, schemas.Timeout, no},
		{"Error", "ConnectionTerminated", schemas.Bounced, schemas.Soft, schemas.Timeout, no},
		{"Error", "Throttled", schemas.Bounced, schemas.Soft, schemas.RateLimited, no},
		{"Error", "SPFProblem", schemas.Bounced, schemas.Soft, schemas.Authentication, no},
		{"Error", "WhitelistingProblem", schemas.Bounced, schemas.Soft, schemas.Policy, no},
		{"Error", "BlackListed", schemas.Bounced, schemas.Soft, schemas.Reputation, no},
		{"Error", "Spam", schemas.Bounced, schemas.Soft, schemas.SpamContent, no},
		{"Error", "ContentFilter", schemas.Bounced, schemas.Soft, schemas.SpamContent, no},
		{"Error", "Ignore", schemas.Blocked, "", schemas.OtherReason, unknown},
		{"Error", "ManualCancel", schemas.Failed, "", schemas.OtherReason, unknown},
		{"Error", "NotDeliveredCancelled", schemas.Failed, "", schemas.OtherReason, unknown},
		{"Error", "NotDelivered", schemas.Blocked, "", schemas.SuppressedBounce, yes},
		{"Error", "CodeError", schemas.Bounced, schemas.Soft, schemas.OtherReason, no},
		{"Error", "Unknown", schemas.Bounced, schemas.Soft, schemas.OtherReason, no},
	} {
		message := tt.status + "-" + tt.category
		parameters := url.Values{
			"status": {tt.status}, "category": {tt.category}, "to": {"ana@example.com"}, "date": {"3/4/2026 9:15:33 AM"},
			"messageid": {message}, "postback": {"order-77"},
		}
		wantStatus(t, h.do(elastic("?"+parameters.Encode())), http.StatusOK)
		got := schemas.Event{}
		for _, r := range h.records(tt.kind) {
			if e, err := schemas.Decode(r.Value); err == nil && e.MessageID == message {
				got = e
			}
		}
		permanent := unknown
		if got.Permanent != nil {
			permanent = map[bool]string{true: yes, false: no}[*got.Permanent]
		}
		if got.BounceType != tt.bounce || got.Reason != tt.reason || permanent != tt.permanent || got.Metadata["postback"] != "order-77" || got.Time.Minute() != 15 {
			t.Errorf("%s became %+v", message, got)
		}
	}
}

// TestIngress_TellsAProbeFromAnEventInTheURL asks a source that takes its events
// in the URL, and one that does not.
func TestIngress_TellsAProbeFromAnEventInTheURL(t *testing.T) {
	t.Parallel()
	cfg, kc := recipes(t), kafkatest.Start(t)
	cfg.Sources = append(cfg.Sources, testConfig().Sources...)
	applyWebhooks(t, cfg, kc)
	h := start(t, cfg, kc)
	const sent = "?status=Sent&to=ana%40example.com&messageid=m-1"
	head, mailjet, unknown, posted := elastic(sent), elastic(""), elastic(sent), elastic(sent)
	head.method, posted.method = http.MethodHead, http.MethodPost
	mailjet.path = Prefix + testSource + sent
	unknown.path = Prefix + "elastic-email/guess" + sent
	for _, tt := range []struct {
		name   string
		call   call
		status int
		want   string
	}{
		{"no parameters", elastic(""), 200, `{"accepted":0,"dead_lettered":0}`},
		{"a question mark alone", elastic("?"), 200, `{"accepted":0,"dead_lettered":0}`},
		{"HEAD", head, 200, ""},
		{"another source", mailjet, 200, `{"accepted":0,"dead_lettered":0}`},
		{"an unknown peer", unknown, 401, "missing or wrong"},
		{"no parameter of the form", elastic("?status=%zz"), 400, "not a form"},
		{"separators alone", elastic("?&&"), 400, "an empty form"},
		{"without a word", elastic("?to=ana%40example.com"), 200, `{"accepted":0,"dead_lettered":1}`},
		{"too many", elastic("?" + strings.Repeat("a&", 1001)), 413, "too many fields"},
		{"an event", elastic(sent), 200, `{"accepted":1,"dead_lettered":0}`},
		{"an event by POST", posted, 200, `{"accepted":1,"dead_lettered":0}`},
	} {
		got := h.do(tt.call)
		if got.Status != tt.status || !strings.Contains(got.Body, tt.want) {
			t.Errorf("%s: %d %s", tt.name, got.Status, got.Body)
		}
		if event := tt.call.method == http.MethodGet && tt.want == `{"accepted":1,"dead_lettered":0}`; event && got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached: %v", tt.name, got.Header)
		}
	}
	if n := len(h.records(schemas.Delivered)); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	if n := len(h.deadLetters()); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

// TestIngress_KeepsNoSecretOfTheURL takes an event whose secret is among its
// parameters.
func TestIngress_KeepsNoSecretOfTheURL(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Sources = append(cfg.Sources, Source{
		Name: "in-url", Provider: "generic",
		Auth:    auth.Config{Query: &auth.Named{Name: "to ken", Value: auth.Secrets{config.Literal("hush-hush")}}},
		Generic: &generic.Config{Format: "query", Type: generic.OneOrMore{"/status"}, Recipient: "/to", Time: "/at"},
	})
	h := start(t, cfg, kafkatest.Start(t))
	for _, parameters := range []string{
		"?to%20ken=hush-hush&status=delivered&to=ana%40example.com&at=2026-03-04T09:15:33Z",
		"?status=delivered&t%6f+ken=hush%2Dhush&to=ana%40example.com&at=2026-03-04T09:15:33Z",
	} {
		wantStatus(t, h.do(call{method: http.MethodGet, path: Prefix + "in-url" + parameters, noAuth: true}), http.StatusOK)
	}
	wantStatus(t, h.do(call{method: http.MethodGet, path: Prefix + "in-url?to+ken=hush-hush", noAuth: true}), http.StatusOK) // a probe
	records := h.records(schemas.Delivered)
	ids := map[string]bool{}
	for _, r := range records {
		e, err := schemas.Decode(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		ids[e.ID] = true
		if diff := cmp.Diff(`{"status":"delivered","to":"ana@example.com","at":"2026-03-04T09:15:33Z"}`, string(e.Raw)); diff != "" {
			t.Error(diff)
		}
	}
	if len(records) != 2 || len(ids) != 1 {
		t.Errorf("%d records with %d ids", len(records), len(ids))
	}
}
