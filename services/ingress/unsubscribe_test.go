package ingress

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

// TestUnsubscribe_OneClickIsOnKafka goes the whole way: a link, one click, the topic.
func TestUnsubscribe_OneClickIsOnKafka(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Unsubscribe.PublicURL = "https://hooks.example.com"
	cfg.Unsubscribe.SigningKeys = []config.Secret{config.Literal("key-of-the-unsubscribe-tests")}
	cfg.Unsubscribe.Source = "shop"
	link, err := cfg.UnsubscribeLink(UnsubscribeMail{Recipient: "Ana@Example.com", Stream: "marketing", MessageID: "m-1"})
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, cfg, kafkatest.Start(t))
	click := call{
		path: strings.TrimPrefix(link, cfg.Unsubscribe.PublicURL), noAuth: true, body: "List-Unsubscribe=One-Click",
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
	}
	look := click
	look.method = http.MethodGet
	if got := h.do(look); got.Status != http.StatusOK || !strings.Contains(got.Body, "A•••@Example.com") {
		t.Errorf("the page: status %d %s", got.Status, got.Body)
	}
	if events := h.events(); len(events) > 0 {
		t.Fatalf("a look made %d events", len(events))
	}
	if got := h.do(click); got.Status != http.StatusOK {
		t.Fatalf("status %d %s", got.Status, got.Body)
	}
	events := h.events()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if e.Type != schemas.Unsubscribed || e.Provider != schemas.ProviderUnsubscribe || e.Source != "shop" || e.RecipientHash == "" || e.ID == "" ||
		e.MessageID != "m-1" || e.Metadata[schemas.MetadataStream] != "marketing" || e.RecipientDomain != "example.com" {
		t.Errorf("event %+v", e)
	}
}

func TestUnsubscribe_IsNotThereUnlessConfigured(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	if got := h.do(call{method: http.MethodGet, path: "/u/x.y", noAuth: true}); got.Status != http.StatusNotFound {
		t.Errorf("status %d", got.Status)
	}
}

func TestUnsubscribe_ItsSourceIsOneThatMayBe(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Unsubscribe.Source = "A B"
	var p config.Problems
	cfg.Validate(p.At("ingress"))
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "ingress.unsubscribe.source") {
		t.Errorf("error %v", err)
	}
}
