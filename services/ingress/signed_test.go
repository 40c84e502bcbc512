package ingress

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/mailersend"
	"github.com/mailstream/mailstream/services/internal/provider/postal"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// developmentSample is a request signed with the published key of a provider.
func developmentSample(t *testing.T, d dialect.Dialect, source auth.Config) dialect.Request {
	t.Helper()
	o := dialect.Occasion{}
	if source.PublicURL != nil {
		o.PublicURL = source.PublicURL.Reveal()
	}
	if err := d.Prepare(&o); err != nil {
		t.Fatal(err)
	}
	event := schemas.Event{Type: schemas.Bounced, BounceType: schemas.Hard, Recipient: "ana@example.com", SMTPReply: "550 5.1.1 no such user"}
	r, err := d.Compose([]dialect.Fact{{MessageID: 1 << 60, Event: event}}, &o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// developmentSources loads the sources as a configuration file would.
func developmentSources(t *testing.T) []Source {
	t.Helper()
	type file struct {
		Ingress struct {
			Sources []Source `yaml:"sources"`
		} `yaml:"ingress"`
	}
	var cfg file
	text := "ingress:\n  sources:\n    " + strings.ReplaceAll(registry.DevelopmentSources(), "\n", "\n    ")
	if _, err := config.Load(&cfg, &file{}, config.Source{File: []byte(text), Name: "sources.yaml"}); err != nil {
		t.Fatal(err)
	}
	return cfg.Ingress.Sources
}

// TestDevelopmentSources_TakeWhatIsSignedWithThePublishedKeys keeps the sources
// of the development configuration and the keys that simulations sign with
// together.
func TestDevelopmentSources_TakeWhatIsSignedWithThePublishedKeys(t *testing.T) {
	t.Parallel()
	for _, s := range developmentSources(t) {
		var faults config.Problems
		s.Auth.Validate(&faults, s.Provider)
		if s.Generic != nil {
			generic.New(*s.Generic, s.Name, &faults)
		}
		if err := faults.Err(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		entry, ok := registry.Find(s.Provider)
		if !ok || entry.Verify == nil {
			continue
		}
		sample := developmentSample(t, entry.Dialect, s.Auth)
		r, body := httptest.NewRequest(http.MethodPost, "/", nil), string(sample.Body)
		for k, v := range sample.Header {
			r.Header.Set(k, v)
		}
		guard := auth.New(s.Auth, auth.Options{Provider: s.Provider})
		if got := guard.VerifyBody(t.Context(), &auth.Request{Request: r, Body: []byte(body)}); got != webhookverify.Genuine {
			t.Errorf("%s: verdict %d", s.Name, got)
		}
		altered := strings.ReplaceAll(body, "ana", "bob")
		if s.Provider == "mailgun" { // it signs time and token, not the event
			altered = strings.Replace(body, `"token":"`, `"token":"0`, 1)
		}
		if got := guard.VerifyBody(t.Context(), &auth.Request{Request: r, Body: []byte(altered)}); altered == body || got != webhookverify.Refused {
			t.Errorf("%s, altered: verdict %d, want %d", s.Name, got, webhookverify.Refused)
		}
	}
}

// TestIngress_AnswersWhatASignatureSays holds the verdicts to their answers.
func TestIngress_AnswersWhatASignatureSays(t *testing.T) {
	t.Parallel()
	const ping = `{"type":"webhook.test"}`
	const jwks = "https://127.0.0.1:1/.well-known/jwks.json" // nobody is there
	for _, tt := range []struct {
		name, provider string
		cfg            auth.Config
		header         map[string]string
		status         int
		outcome        outcome
		retry          bool
	}{
		{"handshake", "mailersend", auth.Config{SigningKeys: auth.Secrets{config.Literal("k")}}, map[string]string{"Signature": webhooksign.Hex(mailersend.PingKey, []byte(ping))}, http.StatusOK, probed, false},
		{"another key", "mailersend", auth.Config{SigningKeys: auth.Secrets{config.Literal("k")}}, map[string]string{"Signature": webhooksign.Hex("other", []byte(ping))}, http.StatusUnauthorized, unauthenticated, false},
		{"key set away", "postal", auth.Config{JWKSURL: jwks}, map[string]string{postal.SignatureHeader: "AAAA"}, http.StatusServiceUnavailable, unproven, true},
		{"configuration with a fault", "sendgrid", auth.Config{SigningKeys: auth.Secrets{config.Literal("no key")}}, nil, http.StatusUnauthorized, unauthenticated, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			shared := testShared(t, kafkatest.Start(t))
			s, err := New(testConfig(), shared)
			if err != nil {
				t.Fatal(err)
			}
			getReady(t, s)
			s.sources[testSource].guard = auth.New(tt.cfg, auth.Options{Provider: tt.provider})
			r := httptest.NewRequest(http.MethodPost, Prefix+testSource, strings.NewReader(ping))
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tt.status || (w.Header().Get("Retry-After") != "") != tt.retry {
				t.Errorf("status %d, headers %v: %s", w.Code, w.Header(), w.Body)
			}
			h := &harness{Service: s, tb: t, registry: shared.Registry}
			if got := h.metric("mailstream_ingress_requests_total", "outcome", string(tt.outcome)); got != 1 {
				t.Errorf("%g requests counted as %s", got, tt.outcome)
			}
		})
	}
}
