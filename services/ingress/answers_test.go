package ingress

import (
	"context"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// TestAnswers_KeepEventsAliveWhereTheProviderWouldDropThem holds the answers
// against what each provider's documentation says of a status.
func TestAnswers_KeepEventsAliveWhereTheProviderWouldDropThem(t *testing.T) {
	t.Parallel()
	for _, e := range registry.Entries() {
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			doc := providertest.ConformanceOf(t, "../internal/provider", e.Name()).Answers
			done, final, got := statuses(t, doc.Done), statuses(t, doc.Final), e.Answers()
			if diff := cmp.Diff(provider.Answers(doc.Want), got); diff != "" {
				t.Error(diff)
			}
			if !done(got.OK) {
				t.Errorf("%d is not done", got.OK)
			}
			for _, status := range []int{got.Unauthenticated, got.Malformed, got.TooLarge, got.Slow, got.Unavailable} {
				if done(status) || final(status) {
					t.Errorf("after %d the events are gone", status)
				}
			}
		})
	}
}

// statuses reads "200", "2xx", "not 429" and "never".
func statuses(t *testing.T, words string) func(status int) bool {
	t.Helper()
	if words == "never" {
		return func(int) bool { return false }
	}
	text, not := strings.CutPrefix(words, "not ")
	text, class := strings.CutSuffix(text, "xx")
	want, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("conformance.yaml: %q is no status, 2xx, not 429 or never", words)
	}
	return func(status int) bool {
		if class {
			status /= 100
		}
		return (status == want) != not
	}
}

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
		{"a wrong one is asked to come back", "ses", basic, "Basic aG9vazp3cm9uZw==", "", 503},
		{"none of a provider that always gives one", "postmark", basic, "", "", 503},
		{"no token is asked to come back", "brevo", bearer, "", "", 429},
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
			if no := x.unauthorized(wrongCredentials); no.status != tt.want || w.Header().Get("WWW-Authenticate") != tt.challenge {
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
