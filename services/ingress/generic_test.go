package ingress

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/servicetest"
)

// recipeFile is the page whose blocks are tested.
const recipeFile = "../../docs/providers/generic.md"

// Secrets of the recipes' environment.
const (
	recipeSecret   = "recipe-secret"
	recipeStandard = "whsec_cmVjaXBlLXNlY3JldC0xNg=="
	recipeURL      = "https://hooks.example.com/v1/webhooks/hubspot"
)

// recipes returns the sources of all YAML blocks of the page.
func recipes(t *testing.T) Config {
	t.Helper()
	text, err := os.ReadFile(recipeFile)
	if err != nil {
		t.Fatal(err)
	}
	all := Default()
	all.Listen = "127.0.0.1:0"
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
		var cfg struct {
			Ingress Config `yaml:"ingress"`
		}
		cfg.Ingress = Default()
		_, err := config.Load(&cfg, &cfg, config.Source{File: block[1], Name: recipeFile, Environ: []string{
			"IN_HOUSE_KEY=" + recipeSecret, "SHOPIFY_CLIENT_SECRET=" + recipeSecret, "HUBSPOT_CLIENT_SECRET=" + recipeSecret,
			"GITHUB_WEBHOOK_SECRET=" + recipeSecret, "EVENTS_TOKEN=" + recipeSecret, "ELASTIC_EMAIL_SECRET=" + recipeSecret, "STANDARD_SECRET=" + recipeStandard,
		}})
		if err != nil {
			t.Fatalf("%v in\n%s", err, block[1])
		}
		all.Sources = append(all.Sources, cfg.Ingress.Sources...)
	}
	return all
}

func mac(parts ...string) []byte {
	var all [][]byte
	for _, p := range parts {
		all = append(all, []byte(p))
	}
	return webhooksign.MAC(sha256.New, []byte(recipeSecret), all...)
}

// recipe is a signed sample and where its events go.
type recipe struct {
	source string // and what follows it in the path
	body   string
	header map[string]string
	topics []string // one an event
}

func recipeSamples(t *testing.T) []recipe {
	t.Helper()
	now := time.Now()
	seconds, millis := strconv.FormatInt(now.Unix(), 10), strconv.FormatInt(now.UnixMilli(), 10)
	inHouse := `[{"event":"mail.bounced","id":"e-1","created_at":"2026-03-04T09:15:30Z","data":{"recipient":"gone@example.com","message_id":"m-1","reply":"550 5.1.1 user unknown"}},` +
		`{"event":"invoice.paid","id":"e-2","created_at":"2026-03-04T09:15:31Z","data":{"amount":5}},{"event":"mail.vanished","id":"e-3","created_at":"2026-03-04T09:15:32Z"}]`
	shop := `{"id":820982911946154508,"email":"ana@example.com","created_at":"2026-03-04T09:15:30+01:00","updated_at":"2026-03-04T09:15:30+01:00","total_price":"403.00"}`
	hubspot := `[{"eventId":100,"portalId":62515,"occurredAt":1772615730123,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":501},` +
		`{"eventId":101,"portalId":62515,"occurredAt":1772615730124,"subscriptionType":"company.creation","attemptNumber":0,"objectId":502}]`
	github := `{"ref":"refs/heads/main"}`
	event := `{"specversion":"1.0","id":"evt-1","source":"/acme","type":"com.example.email.bounced","subject":"gone@example.com","time":"2026-03-04T09:15:30.123Z","data":{"message_id":"m-77","smtp":"550 5.1.1"}}`
	standard := `{"type":"user.created","timestamp":"2026-03-04T09:15:30.123456Z","data":{"id":"u-1"}}`
	signature, err := webhooksign.StandardWebhooks(recipeStandard, "msg_1", seconds, []byte(standard))
	if err != nil {
		t.Fatal(err)
	}
	return []recipe{
		{"in-house", inHouse, map[string]string{"Company-Webhook-Signature": "t=" + seconds + ",v1=" + hex.EncodeToString(mac(seconds, ".", inHouse))},
			[]string{"email.bounced", "webhook.in-house.invoice_paid", "email.other"}},
		{"shop", shop, map[string]string{"X-Shopify-Topic": "orders/create", "X-Shopify-Webhook-Id": "b54557e4-0000-4000-8000-000000000001", "X-Shopify-Hmac-Sha256": base64.StdEncoding.EncodeToString(mac(shop))},
			[]string{"webhook.shop.orders_create"}},
		{"hubspot", hubspot, map[string]string{"X-HubSpot-Request-Timestamp": millis, "X-HubSpot-Signature-v3": base64.StdEncoding.EncodeToString(mac("POST", recipeURL, hubspot, millis))},
			[]string{"webhook.hubspot.contact_creation", "webhook.hubspot.other"}},
		{"github", github, map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "5a1f0000-0000-11ef-8000-000000000001", "X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac(github))},
			[]string{"webhook.github.push"}},
		{"events", event, map[string]string{"Content-Type": "application/cloudevents+json", "Authorization": "Bearer " + recipeSecret},
			[]string{"email.bounced"}},
		{"elastic-email/" + recipeSecret, "status=Error&category=NoMailbox&to=gone%40example.com&date=3%2F4%2F2026+9%3A15%3A35+AM&messageid=qT7aXk2o", nil,
			[]string{"email.bounced"}},
		{"standard", standard, map[string]string{"webhook-id": "msg_1", "webhook-timestamp": seconds, "webhook-signature": signature},
			[]string{"webhook.standard.user_created"}},
	}
}

// TestRecipes takes a signed sample for every source of the page to its topics,
// and refuses the same with one byte more.
func TestRecipes(t *testing.T) {
	t.Parallel()
	cfg, kc := recipes(t), kafkatest.Start(t)
	applyWebhooks(t, cfg, kc)
	h := start(t, cfg, kc)
	samples := recipeSamples(t)
	if len(samples) != len(cfg.Sources) {
		t.Errorf("%d samples for %d sources", len(samples), len(cfg.Sources))
	}
	want := map[string]int{}
	for _, s := range samples {
		c := call{path: Prefix + s.source, body: s.body, header: s.header, noAuth: true}
		for range 2 { // a resend is genuine
			got := h.do(c)
			wantStatus(t, got, http.StatusOK)
			if accepted := `{"accepted":` + strconv.Itoa(len(s.topics)) + `,"dead_lettered":0}` + "\n"; got.Body != accepted {
				t.Errorf("%s: %s", s.source, got.Body)
			}
		}
		for _, topic := range s.topics {
			want[topic]++
		}
		c.body += " "
		if source, secret, ok := strings.Cut(s.source, "/"); ok {
			c.path = Prefix + source + "/" + secret[1:]
		}
		if c.header["Authorization"] != "" {
			c.header = map[string]string{"Content-Type": c.header["Content-Type"]}
		}
		wantStatus(t, h.do(c), http.StatusUnauthorized)
	}
	for topic, n := range want {
		ids := map[string]bool{}
		records := kafkatest.ReadAll(t, kc, topic)
		for _, r := range records {
			e, err := schemas.Decode(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Type) != topic && schemas.EventTopic("email.", e.Type) != topic {
				t.Errorf("an event of type %s is in %s", e.Type, topic)
			}
			ids[e.ID] = true
			for _, hd := range r.Headers {
				if hd.Key == schemas.HeaderType && string(hd.Value) != topic {
					t.Errorf("ce_type %s in %s", hd.Value, topic)
				}
			}
		}
		if len(records) != 2*n || len(ids) != n {
			t.Errorf("%s has %d records and %d ids, want %d and %d", topic, len(records), len(ids), 2*n, n)
		}
	}
	for topic, n := range map[string]float64{"webhook.github.push": 2, "bounced": 6} {
		if got := h.metric("mailstream_ingress_events_published_total", "type", topic); got != n {
			t.Errorf("%g events of %s counted, want %g", got, topic, n)
		}
	}
}

// applyWebhooks does what `mailstream topics apply` does.
func applyWebhooks(t *testing.T, cfg Config, kc kafka.Config) {
	t.Helper()
	kc.Webhooks = cfg.WebhookTopics(kc.TopicPrefix)
	if len(kc.Webhooks) == 0 || !strings.HasPrefix(kc.Webhooks[0], "webhook.") {
		t.Fatalf("topics %q", kc.Webhooks)
	}
	ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
	defer cancel()
	if err := admin.Apply(ctx, kafkatest.Client(t, kc), kc, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
}

func TestWebhookTopics_StandBesideTheEventTopics(t *testing.T) {
	t.Parallel()
	cfg := recipes(t)
	for prefix, want := range map[string]string{"email.": "webhook.shop.other", "staging.email.": "staging.webhook.shop.other", "acme.": "acme.webhook.shop.other", "": "webhook.shop.other"} {
		if got := strings.Join(cfg.WebhookTopics(prefix), " "); !strings.Contains(" "+got+" ", " "+want+" ") {
			t.Errorf("prefix %q: %s", prefix, got)
		}
	}
}

func TestIngress_ConsentsToTheOriginsOfASource(t *testing.T) {
	t.Parallel()
	cfg, kc := recipes(t), kafkatest.Start(t)
	applyWebhooks(t, cfg, kc)
	h := start(t, cfg, kc)
	ask := func(source, origin string) reply {
		return h.do(call{method: http.MethodOptions, path: Prefix + source, noAuth: true, header: map[string]string{"WebHook-Request-Origin": origin}})
	}
	got := ask("events", "eventgrid.example.net")
	if got.Status != http.StatusOK || got.Header.Get("WebHook-Allowed-Origin") != "eventgrid.example.net" || got.Header.Get("WebHook-Allowed-Rate") != "*" {
		t.Errorf("status %d, headers %v", got.Status, got.Header)
	}
	for _, no := range []reply{ask("events", "evil.example"), ask("github", "eventgrid.example.net")} {
		wantStatus(t, no, http.StatusMethodNotAllowed)
		if no.Header.Get("WebHook-Allowed-Origin") != "" {
			t.Errorf("headers %v", no.Header)
		}
	}
}

func TestNew_NamesTheFaultsOfGenericSources(t *testing.T) {
	t.Parallel()
	cfg := recipes(t)
	cfg.Sources = cfg.Sources[:2]
	cfg.Sources[0].Generic.Recipient = "data/recipient"
	cfg.Sources[1].Generic = nil
	binary := cfg.Sources[0]
	binary.Name, binary.Generic = "binary", &generic.Config{Format: "cloudevents", Otherwise: "other"}
	cfg.Sources = append(cfg.Sources, testConfig().Sources[0])
	cfg.Sources[2].Generic = recipes(t).Sources[0].Generic
	partly, inURL := binary, binary
	partly.Name, inURL.Name = "partly", "in-url"
	partly.Auth.Signature = &webhookverify.Custom{Algorithm: "hmac-sha256", Header: "X-Signature", Signed: "{header:ce-id}.{body}"}
	inURL.Generic = &generic.Config{Format: "query", Type: generic.OneOrMore{"/status"}}
	cfg.Sources = append(cfg.Sources, binary, partly, inURL)
	_, err := New(cfg, testShared(t, kafkatest.Start(t)))
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		`ingress.sources[0].generic.recipient: "data/recipient" is neither a JSON pointer`, "ingress.sources[1].generic: is missing", "ingress.sources[2].generic: must be empty: it is for provider generic, and this is mailjet",
		"ingress.sources[3].generic.modes: auth.signature does not cover", "ingress.sources[4].generic.modes: auth.signature does not cover",
		"ingress.sources[5].generic.format: auth.signature does not cover the parameters",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if bytes.Contains([]byte(err.Error()), []byte(recipeSecret)) {
		t.Errorf("a secret is shown: %v", err)
	}
}
