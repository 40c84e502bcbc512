package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

var secret = webhooksign.StandardSecretPrefix + base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmn"))

// verify is the consumer's side of Standard Webhooks: signature and age.
func verify(h http.Header, body []byte, now time.Time) bool {
	want, err := webhooksign.StandardWebhooks(secret, h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	at := time.Unix(0, 0)
	if sec, err := json.Number(h.Get("webhook-timestamp")).Int64(); err == nil {
		at = time.Unix(sec, 0)
	}
	return err == nil && want == h.Get("webhook-signature") && now.Sub(at).Abs() < 5*time.Minute
}

func TestDeliver_SignsWhatAConsumerVerifies(t *testing.T) {
	t.Parallel()
	var ids []string
	var got payload
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !verify(r.Header, body, time.Now()) || len(body) > 20<<10 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		ids = append(ids, r.Header.Get("webhook-id"))
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("body: %v", err)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(srv.Close)
	c := New(Config{URL: config.Literal(srv.URL + "/hunter2"), Secret: config.Literal(secret)}, wording.Links{Runbook: "https://docs.example.com"}, nil)
	n := wording.Example(schemas.NotifyFiring, time.Now())
	for range 100 {
		n.Facts.Also = append(n.Facts.Also, "recipient_domain "+strings.Repeat("x", 100)+".example")
	}
	for range 2 { // a second try has the same id
		if err := c.Deliver(context.Background(), []outbox.Notice{n}); err != nil {
			t.Fatalf("deliver: %v", err)
		}
	}
	if ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("ids of two tries: %q", ids)
	}
	if got.Type != "alert.firing" || got.Data.Incident != n.Facts.Incident || got.Data.Labels["recipient_domain"] != "example.com" || got.Data.Links["runbook"] == "" {
		t.Errorf("payload: %+v", got)
	}
	end := wording.Example(schemas.NotifyResolved, time.Now())
	if err := c.Deliver(context.Background(), []outbox.Notice{end}); err != nil || ids[2] == ids[0] {
		t.Errorf("the end: %v, id %q", err, ids[2])
	}
	wrong := New(Config{URL: config.Literal(srv.URL), Secret: config.Literal("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")}, wording.Links{}, nil)
	if err := wrong.Deliver(context.Background(), []outbox.Notice{n}); fate.Of(err) != fate.Halt {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestDeliver_ReadsAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		header string
		want   fate.Fate
		after  time.Duration
	}{
		{429, "7", fate.Retry, 7 * time.Second}, {500, "", fate.Retry, 0}, {503, "3", fate.Retry, 3 * time.Second},
		{410, "", fate.Halt, 0}, {404, "", fate.Halt, 0}, {302, "", fate.Halt, 0}, {401, "", fate.Halt, 0}, {400, "", fate.DeadLetter, 0}, {413, "", fate.DeadLetter, 0},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", tt.header)
			w.WriteHeader(tt.status)
		}))
		c := New(Config{URL: config.Literal(srv.URL + "/hunter2"), Secret: config.Literal(secret)}, wording.Links{}, nil)
		err := c.Deliver(context.Background(), []outbox.Notice{wording.Example(schemas.NotifyFiring, time.Now())})
		srv.Close()
		f, ok := errors.AsType[*outbox.Fault](err)
		if !ok || fate.Of(err) != tt.want || f.RetryAfter != tt.after || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d: %v, fate %v", tt.status, err, fate.Of(err))
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, secret, fault string
	}{
		{"https://a.example/x", secret, ""},
		{"a.example", secret, "url"},
		{"https://a.example/x", "", "secret"},
		{"https://a.example/x", "whsec_hunter2", "secret"},
		{"https://a.example/x", "whsec_" + base64.StdEncoding.EncodeToString([]byte("short")), "secret"},
	} {
		var p config.Problems
		Config{URL: config.Literal(tt.url), Secret: config.Literal(tt.secret)}.Validate(&p)
		err := p.Err()
		if (err == nil) != (tt.fault == "") || err != nil && (!strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%q %q: %v", tt.url, tt.secret, err)
		}
	}
}
