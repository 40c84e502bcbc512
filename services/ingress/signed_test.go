package ingress

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// developmentSample is a request signed with the published key of a provider.
func developmentSample(t *testing.T, provider string, now time.Time) (body string, header map[string]string) {
	t.Helper()
	keys, err := webhooksign.LoadDevelopment()
	if err != nil {
		t.Fatal(err)
	}
	must := func(text string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const secret = webhooksign.DevelopmentSecret
	stamp := strconv.FormatInt(now.Unix(), 10)
	body = `{"type":"delivered","recipient":"ana@example.com"}`
	b := []byte(body)
	switch provider {
	case "mailgun":
		return `{"signature":{"timestamp":"` + stamp + `","token":"t","signature":"` + webhooksign.Mailgun(secret, stamp, "t") + `"},"event-data":{}}`, nil
	case "sendgrid":
		return body, map[string]string{webhooksign.SendGridTimestampHeader: stamp, webhooksign.SendGridSignatureHeader: must(webhooksign.SendGrid(keys.SendGrid, stamp, b))}
	case "ses":
		m := webhooksign.SNSMessage{Type: webhooksign.SNSNotification, TopicArn: webhooksign.DevelopmentTopicArn, Message: body, SignatureVersion: "2"}
		must("", m.Sign(keys.SNS))
		text, err := json.Marshal(m)
		return must(string(text), err), map[string]string{webhooksign.SNSTypeHeader: m.Type}
	case "mandrill":
		form := url.Values{"mandrill_events": {`[{"event":"send"}]`}}
		return form.Encode(), map[string]string{webhooksign.MandrillHeader: webhooksign.Mandrill(secret, webhooksign.DevelopmentURL, form)}
	case "resend":
		return body, map[string]string{"svix-id": "msg_1", "svix-timestamp": stamp, "svix-signature": must(webhooksign.StandardWebhooks(webhooksign.DevelopmentStandardSecret, "msg_1", stamp, b))}
	case "mailersend":
		return body, map[string]string{webhooksign.MailerSendHeader: webhooksign.Hex(secret, b)}
	case "mailtrap":
		return body, map[string]string{webhooksign.MailtrapHeader: webhooksign.Hex(secret, b)}
	case "postal":
		return body, map[string]string{webhooksign.PostalHeader: must(webhooksign.Postal(keys.Postal, b))}
	case "mailchimp":
		return body, map[string]string{webhooksign.MailchimpHeader: webhooksign.Mailchimp(secret, now, b)}
	default:
		return body, map[string]string{webhooksign.GenericHeader: webhooksign.Mailchimp(secret, now, b)}
	}
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
	text := "ingress:\n  sources:\n    " + strings.ReplaceAll(string(webhooksign.DevelopmentSources()), "\n", "\n    ")
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
	var names []string
	now := time.Now()
	for _, s := range developmentSources(t) {
		names = append(names, s.Name)
		var faults config.Problems
		s.Auth.Validate(&faults, s.Provider)
		if s.Generic != nil {
			generic.New(*s.Generic, s.Name, &faults)
		}
		if err := faults.Err(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		body, header := developmentSample(t, s.Provider, now)
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		for k, v := range header {
			r.Header.Set(k, v)
		}
		guard := auth.New(s.Auth, auth.Options{Provider: s.Provider})
		if got := guard.Late(t.Context(), &auth.Request{Request: r, Body: []byte(body)}); got != webhookverify.Genuine {
			t.Errorf("%s: verdict %d", s.Name, got)
		}
		if got := guard.Late(t.Context(), &auth.Request{Request: r, Body: []byte(strings.Replace(body, "t", "x", 1))}); !got.Refuses() {
			t.Errorf("%s, altered: verdict %d", s.Name, got)
		}
	}
	if want := webhookverify.Providers(); !slices.Equal(names, want) {
		t.Errorf("sources %q, want one of each of %q", names, want)
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
		{"handshake", "mailersend", auth.Config{SigningKeys: auth.Secrets{config.Literal("k")}}, map[string]string{"Signature": webhooksign.Hex(webhooksign.MailerSendPingKey, []byte(ping))}, http.StatusOK, probed, false},
		{"stranger", "mailersend", auth.Config{SigningKeys: auth.Secrets{config.Literal("k")}}, map[string]string{"Signature": webhooksign.Hex("other", []byte(ping))}, http.StatusUnauthorized, unauthenticated, false},
		{"key set away", "postal", auth.Config{JWKSURL: jwks}, map[string]string{webhooksign.PostalHeader: "AAAA"}, http.StatusServiceUnavailable, unproven, true},
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
