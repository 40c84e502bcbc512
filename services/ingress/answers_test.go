package ingress

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// TestAnswers_KeepEventsAliveWhereTheProviderWouldDropThem holds the answers
// against what each provider's documentation says of a status.
func TestAnswers_KeepEventsAliveWhereTheProviderWouldDropThem(t *testing.T) {
	t.Parallel()
	table := []struct {
		name  string
		done  func(status int) bool // does not send again
		final func(status int) bool // drops the events
		want  provider.Answers
	}{
		{"activecampaign", class(2), is(410), provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"brevo", class(2), not(429), provider.Answers{OK: 200, Unauthenticated: 429, Malformed: 429, TooLarge: 429, Slow: 429, Unavailable: 429}},
		{"generic", class(2), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"mailchimp", class(2), is(410), provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"mailersend", class(2), class(4), provider.Answers{OK: 200, Unauthenticated: 503, Malformed: 503, TooLarge: 503, Slow: 503, Unavailable: 503, ResponseTimeout: 3 * time.Second}},
		{"mailtrap", is(200), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"postal", class(2), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503, ResponseTimeout: 5 * time.Second}},
		{"postmark", is(200), class(4), provider.Answers{OK: 200, Unauthenticated: 503, Malformed: 503, TooLarge: 503, Slow: 503, Unavailable: 503}},
		{"resend", class(2), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"mailgun", is(200), is(406), provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"mailjet", is(200), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"mandrill", is(200), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"sendgrid", class(2), class(3), provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 400, TooLarge: 413, Slow: 408, Unavailable: 503}},
		{"ses", class(2), class(4), provider.Answers{OK: 200, Unauthenticated: 503, Malformed: 503, TooLarge: 503, Slow: 503, Unavailable: 503, ChallengeFirst: true}},
		{"sparkpost", is(200), never, provider.Answers{OK: 200, Unauthenticated: 401, Malformed: 422, TooLarge: 413, Slow: 408, Unavailable: 503}},
	}
	if len(table) != len(registry.Entries()) {
		t.Errorf("%d of %d providers are in the table", len(table), len(registry.Entries()))
	}
	for _, tt := range table {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, ok := registry.Find(tt.name)
			if !ok {
				t.Fatal("is not registered")
			}
			got := e.Answers()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if !tt.done(got.OK) {
				t.Errorf("%d is not done", got.OK)
			}
			for _, status := range []int{got.Unauthenticated, got.Malformed, got.TooLarge, got.Slow, got.Unavailable} {
				if tt.done(status) || tt.final(status) {
					t.Errorf("after %d the events are gone", status)
				}
			}
		})
	}
}

func is(want int) func(int) bool { return func(status int) bool { return status == want } }
func not(want int) func(int) bool {
	return func(status int) bool { return status != want && status != 200 }
}
func class(hundred int) func(int) bool { return func(status int) bool { return status/100 == hundred } }
func never(int) bool                   { return false }

// TestAnswers_AWrongPasswordIsNoReasonToDropEvents asks sources of providers that
// drop events at a 401 with wrong credentials and with none.
func TestAnswers_AWrongPasswordIsNoReasonToDropEvents(t *testing.T) {
	t.Parallel()
	const basic, bearer = "basic: {username: hook, password: right}", "bearer: right"
	for _, tt := range []struct {
		name, provider, auth, authorization, challenge string
		want                                           int
	}{
		{"none is asked for", "ses", basic, "", `Basic realm="mailstream", charset="UTF-8"`, 401},
		{"a wrong one is told to come back", "ses", basic, "Basic aG9vazp3cm9uZw==", "", 503},
		{"none of a provider that always gives one", "postmark", basic, "", "", 503},
		{"no token is told to come back", "brevo", bearer, "", "", 429},
		{"a wrong token too", "brevo", bearer, "Bearer wrong", "", 429},
		{"no token of a provider that repeats", "sparkpost", bearer, "", `Bearer realm="mailstream"`, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, _ := registry.Find(tt.provider)
			var cfg auth.Config
			if err := config.Decode("auth", []byte(tt.auth), &cfg); err != nil {
				t.Fatal(err)
			}
			src := &source{answers: e.Answers(), guard: auth.New(cfg, auth.Options{})}
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/webhooks/acme", nil)
			r.Header.Set("Authorization", tt.authorization)
			x := &exchange{w: w, r: auth.Request{Request: r}, source: src}
			if no := x.stranger(wrongCredentials); no.status != tt.want || w.Header().Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("%d with challenge %q, want %d with %q", no.status, w.Header().Get("WWW-Authenticate"), tt.want, tt.challenge)
			}
		})
	}
}

// patient notes how long it may wait.
type patient struct{ until time.Time }

func (p *patient) Publish(ctx context.Context, _ ...*kgo.Record) error {
	p.until, _ = ctx.Deadline()
	return nil
}

func TestPublish_WaitsNoLongerThanTheProvider(t *testing.T) {
	t.Parallel()
	for _, name := range registry.Names() {
		e, _ := registry.Find(name)
		patience := e.Answers().ResponseTimeout
		p := new(patient)
		x := &exchange{received: time.Now(), source: &source{answers: e.Answers()}}
		if err := (&Service{producer: p}).store(x); err != nil {
			t.Fatal(err)
		}
		if patience == 0 && !p.until.IsZero() {
			t.Errorf("%s: has a deadline of its own", name)
		}
		if waits := p.until.Sub(x.received); patience > 0 && (waits >= patience || waits < patience/2) {
			t.Errorf("%s: waits for %s of %s", name, waits, patience)
		}
	}
}
