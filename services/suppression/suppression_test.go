package suppression_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

func TestService_EachKindOfEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		r := start(t, options{broker: broker})
		tests := []struct {
			name  string
			event schemas.Event
			scope string
			// reason in a marketing and in a transactional stream
			marketing, transactional string
		}{
			{"hard bounce", event(t, schemas.Bounced, "hard@example.com", 1, hard), "account", "hard_bounce", "hard_bounce"},
			{"soft bounce", event(t, schemas.Bounced, "soft@example.com", 1, soft), "", "", ""},
			{"complaint", event(t, schemas.Complained, "spam@example.com", 1), "account", "complaint", "complaint"},
			{"unsubscribe", event(t, schemas.Unsubscribed, "unsub@example.com", 1, onList("17")), "list:17", "unsubscribe", ""},
			{"unsubscribe without a list", event(t, schemas.Unsubscribed, "all@example.com", 1), "account", "unsubscribe", ""},
			{"block", event(t, schemas.Blocked, "blocked@example.com", 1, func(e *schemas.Event) { e.Reason = schemas.Reputation }), "", "", ""},
			{"delivery", event(t, schemas.Delivered, "fine@example.com", 1), "", "", ""},
			{"subscribe", event(t, schemas.Subscribed, "new@example.com", 1, onList("17")), "", "", ""},
		}
		for _, tt := range tests {
			publish(t, cfg, tt.event)
		}
		servicetest.Eventually(t, "all events are settled", func() bool { return r.settled() == len(tests) })
		for _, tt := range tests {
			if got := r.check(tt.event.Recipient, "marketing"); got != tt.marketing {
				t.Errorf("%s: marketing says %q, want %q", tt.name, got, tt.marketing)
			}
			if got := r.check(tt.event.Recipient, "transactional"); got != tt.transactional {
				t.Errorf("%s: transactional says %q, want %q", tt.name, got, tt.transactional)
			}
			if tt.scope == "" {
				continue
			}
			var got checked
			r.call("POST", "/v1/suppressions/check", object{"addresses": []string{tt.event.Recipient}, "stream": "marketing"}, &got)
			e := got.Suppressed[0]
			if e.Scope != tt.scope || !e.Since.Equal(at(1)) || e.Expires != nil || e.Evidence.EventID != tt.event.ID || e.Evidence.Provider != "mailjet" || e.Evidence.Source != "acme-mailjet" {
				t.Errorf("%s: %+v", tt.name, e)
			}
		}
	})
}

func TestService_HistoryIsHarmless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		r := start(t, options{broker: broker})
		events := []schemas.Event{
			event(t, schemas.Unsubscribed, "a@example.com", 1, onList("1")),
			event(t, schemas.Subscribed, "a@example.com", 5, onList("1")),
			event(t, schemas.Subscribed, "b@example.com", 1, onList("1")),
			event(t, schemas.Unsubscribed, "b@example.com", 5, onList("1")),
			event(t, schemas.Bounced, "c@example.com", 1, hard),
			event(t, schemas.Subscribed, "c@example.com", 5),
			event(t, schemas.Complained, "d@example.com", 1),
		}
		for range 3 {
			shuffled := append([]schemas.Event{}, events...)
			rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			publish(t, cfg, shuffled...)
		}
		servicetest.Eventually(t, "all events are settled", func() bool { return r.settled() == 3*len(events) })
		got := map[string]string{}
		for _, a := range []string{"a", "b", "c", "d"} {
			got[a] = r.check(a+"@example.com", "marketing")
		}
		want := map[string]string{"a": "", "b": "unsubscribe", "c": "hard_bounce", "d": "complaint"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after a shuffled history sent three times (-want +got):\n%s", diff)
		}
		if n := len(kafkatest.ReadAll(t, cfg, schemas.SuppressionsTopic(schemas.DefaultTopicPrefix))); n > len(events) {
			t.Errorf("%d records for %d events: repeats were published", n, len(events))
		}
	})
}

func TestService_ReadYourWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		a, b := start(t, options{broker: broker}), start(t, options{broker: broker})
		for range 20 {
			var w written
			if status := a.call("PUT", "/v1/suppressions", object{"address": "x@example.com", "note": time.Now().String()}, &w); status != 200 || w.Token == "" {
				t.Fatalf("put = %d %+v", status, w)
			}
			if got := a.check("x@example.com", "marketing"); got != "manual" {
				t.Fatalf("same replica, no token: %q", got)
			}
			var got checked
			if status := b.call("POST", "/v1/suppressions/check", object{"addresses": []string{"x@example.com"}, "stream": "marketing", "min_token": w.Token}, &got); status != 200 || len(got.Suppressed) != 1 {
				t.Fatalf("other replica with the token = %d %+v", status, got)
			}
			if status := b.call("POST", "/v1/suppressions/remove", object{"address": "x@example.com", "note": "asked for it", "reason": "manual"}, &w); status != 200 || w.Changed != 1 {
				t.Fatalf("remove = %d %+v", status, w)
			}
			got = checked{}
			if status := a.call("POST", "/v1/suppressions/check", object{"addresses": []string{"x@example.com"}, "stream": "marketing", "min_token": w.Token}, &got); status != 200 || len(got.Suppressed) != 0 {
				t.Fatalf("other replica after the lift = %d %+v", status, got)
			}
		}
	})
}
