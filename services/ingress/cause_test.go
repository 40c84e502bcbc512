package ingress

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"github.com/mailstream/mailstream/services/internal/provider/mailchimp"
	"github.com/mailstream/mailstream/services/internal/provider/mailtrap"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
	"github.com/mailstream/mailstream/services/internal/provider/ses"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// refuser is a service without listener and broker, and what it says of itself.
type refuser struct {
	*Service
	t        *testing.T
	registry *prometheus.Registry
	logs     *observer.ObservedLogs
}

// Secrets, addresses and text that must not get into a log line or an answer.
const (
	wrongSecret = "wrong-secret-of-an-unknown-peer"
	personal    = "ana@example.com"
)

func newRefuser(t *testing.T) *refuser {
	t.Helper()
	cfg := testConfig()
	cfg.BodyBytesMax, cfg.BodyBytesInFlightMax = 64*config.KiB, 1*config.MiB
	cfg.AllowUnauthenticated = true
	keys := auth.Config{SigningKeys: auth.Secrets{config.Literal(dialect.DevelopmentKey)}}
	formKeys := keys
	publicURL := config.Literal("http://127.0.0.1:8080/v1/webhooks/mandrill")
	formKeys.PublicURL = &publicURL
	cfg.Sources = append(cfg.Sources,
		Source{Name: "signed", Provider: "mailtrap", Auth: keys},
		Source{Name: "timed", Provider: "mailchimp", Auth: keys},
		Source{Name: "tokens", Provider: "mailgun", Auth: keys},
		Source{Name: "forms", Provider: "mandrill", Auth: formKeys},
		Source{Name: "open", Provider: "mailjet", Auth: auth.Config{None: true}},
		Source{Name: "open-forms", Provider: "activecampaign", Auth: auth.Config{None: true}},
		Source{Name: "drops-at-4xx", Provider: "postmark", Auth: auth.Config{None: true}},
		Source{Name: "topics", Provider: "ses", Auth: auth.Config{SNS: &ses.SNS{TopicArns: []string{ses.DevelopmentTopicArn}}}},
		Source{Name: "from-afar", Provider: "mailjet", Auth: auth.Config{None: true}, AllowFrom: []string{"203.0.113.0/24"}})
	core, logs := observer.New(zap.DebugLevel)
	shared := testShared(t, kafka.Default())
	shared.Log = zap.New(core)
	s, err := New(cfg, shared)
	if err != nil {
		t.Fatal(err)
	}
	getReady(t, s)
	logs.TakeAll() // of the start
	s.producer = &failing{err: fate.Wrap(fate.Retry, kafka.ErrTimeout)}
	return &refuser{Service: s, t: t, registry: shared.Registry, logs: logs}
}

func (r *refuser) serve(method, target, body string, header map[string]string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	for k, v := range header {
		req.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// refusals are the counters that are above 0, as "source status cause".
func (r *refuser) refusals() map[string]float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "mailstream_ingress_refusals_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if v := m.GetCounter().GetValue(); v > 0 {
				found[labels["source"]+" "+labels["status"]+" "+labels["cause"]] = v
			}
		}
	}
	return found
}

func basicOf(user, password string) map[string]string {
	return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

type refusalCase struct {
	name   string
	method string
	target string
	body   string
	header map[string]string
	want   string // source, status and cause
}

func refusalCases(t *testing.T, now time.Time) []refusalCase {
	const item = `{"event":"open","email":"` + personal + `"}`
	right := basicOf(testUser, testPassword)
	with := func(h map[string]string, pairs ...string) map[string]string {
		out := maps.Clone(h)
		if out == nil {
			out = map[string]string{}
		}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = pairs[i+1]
		}
		return out
	}
	chimp := func(key string, at time.Time) map[string]string {
		return map[string]string{mailchimp.SignatureHeader: webhooksign.TimedHex(key, at, []byte(item))}
	}
	mailgun, _ := registry.Find("mailgun")
	gun := string(providertest.Play(t, mailgun.Dialect, providertest.Happened(schemas.Delivered, "", ""), 0).Body)
	const p = Prefix
	return []refusalCase{
		{"a scanner", "GET", "/wp-login.php", "", nil, " 404 wrong_path"},
		{"a letter short", "POST", "/v1/webhook/" + testSource, item, right, " 404 mistyped_path"},
		{"a slash too much", "POST", "//v1/webhooks/" + testSource, item, right, " 404 mistyped_path"},
		{"the source alone", "POST", "/" + testSource, item, right, " 404 mistyped_path"},
		{"another name", "POST", p + "acme-mailjte", item, right, " 404 unknown_source"},
		{"a secret where none is taken", "POST", p + testSource + "/" + wrongSecret, item, right, testSource + " 404 unexpected_path"},
		{"PUT", "PUT", p + testSource, item, right, testSource + " 405 wrong_method"},
		{"no password", "POST", p + testSource, item, nil, testSource + " 401 missing_credentials"},
		{"a wrong password", "POST", p + testSource, item, basicOf(testUser, wrongSecret), testSource + " 401 wrong_credentials"},
		{"another address", "POST", p + "from-afar", item, nil, "from-afar 401 foreign_address"},
		{"no signature", "POST", p + "signed", item, nil, "signed 401 missing_signature"},
		{"no hex", "POST", p + "signed", item, map[string]string{mailtrap.SignatureHeader: wrongSecret}, "signed 401 malformed_signature"},
		{"another key", "POST", p + "signed", item, map[string]string{mailtrap.SignatureHeader: webhooksign.Hex(wrongSecret, []byte(item))}, "signed 401 wrong_signature"},
		{"an altered body", "POST", p + "signed", item + " ", map[string]string{mailtrap.SignatureHeader: webhooksign.Hex(dialect.DevelopmentKey, []byte(item))}, "signed 401 wrong_signature"},
		{"of yesterday", "POST", p + "timed", item, chimp(dialect.DevelopmentKey, now.Add(-24*time.Hour)), "timed 401 old_timestamp"},
		{"of tomorrow", "POST", p + "timed", item, chimp(dialect.DevelopmentKey, now.Add(24*time.Hour)), "timed 401 future_timestamp"},
		{"other events under a token", "POST", p + "tokens", strings.Replace(gun, `"delivered"`, `"opened"`, 1), nil, "tokens 401 replayed"},
		{"a form where JSON is signed", "POST", p + "tokens", "event=open", map[string]string{"Content-Type": "text/plain"}, "tokens 401 wrong_content_type"},
		{"broken JSON where JSON is signed", "POST", p + "tokens", `{"a`, nil, "tokens 401 unreadable"},
		{"another topic", "POST", p + "topics", `{"Type":"Notification","TopicArn":"arn:aws:sns:us-east-1:123456789012:x","Signature":"AAAA"}`, map[string]string{ses.TypeHeader: "Notification"}, "topics 503 unknown_topic"},
		{"another certificate", "POST", p + "topics", `{"Type":"Notification","TopicArn":"` + ses.DevelopmentTopicArn + `","SignatureVersion":"2","Signature":"AAAA","SigningCertURL":"https://evil.example/x.pem"}`, map[string]string{ses.TypeHeader: "Notification"}, "topics 503 unknown_key"},
		{"raw message delivery", "POST", p + "topics", `{"eventType":"Bounce","mail":{}}`, nil, "topics 503 raw_delivery"},
		{"no JSON", "POST", p + "open", `{"event":`, nil, "open 400 malformed"},
		{"a form", "POST", p + "open", "event=open&email=ana%40example.com", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, "open 400 wrong_content_type"},
		{"a form where a 400 drops events", "POST", p + "drops-at-4xx", "a=b", map[string]string{"Content-Type": "text/xml"}, "drops-at-4xx 503 wrong_content_type"},
		{"JSON for a form", "POST", p + "open-forms", item, map[string]string{"Content-Type": "application/json"}, "open-forms 400 wrong_content_type"},
		{"too deep", "POST", p + "open", strings.Repeat("[", 1000), nil, "open 400 too_deep"},
		{"too many", "POST", p + "open", "[" + strings.Repeat("{},", 10_000) + "{}]", nil, "open 413 too_many_items"},
		{"too large", "POST", p + "open", strings.Repeat(" ", 70_000), nil, "open 413 body_too_large"},
		{"no gzip", "POST", p + "open", item, map[string]string{"Content-Encoding": "gzip"}, "open 400 broken_body"},
		{"brotli", "POST", p + "open", item, map[string]string{"Content-Encoding": "br"}, "open 415 unsupported_encoding"},
		{"Kafka is away", "POST", p + testSource, item, with(right), testSource + " 503 not_stored"},
	}
}

func TestRefusals_LeaveACauseForTheOperatorAndNothingForTheSender(t *testing.T) {
	t.Parallel()
	r := newRefuser(t)
	now := time.Now()
	mailgun, _ := registry.Find("mailgun")
	gun := string(providertest.Play(t, mailgun.Dialect, providertest.Happened(schemas.Delivered, "", ""), 0).Body)
	r.serve("POST", Prefix+"tokens", gun, nil) // uses the token
	answers := map[string]string{}             // of unknown peers, by status
	for _, tt := range refusalCases(t, now) {
		before := r.refusals()
		w := r.serve(tt.method, tt.target, tt.body, tt.header)
		after := r.refusals()
		for key, n := range before {
			if after[key] -= n; after[key] == 0 {
				delete(after, key)
			}
		}
		if diff := cmp.Diff(map[string]float64{tt.want: 1}, after); diff != "" {
			t.Errorf("%s: counted (-want +got):\n%s", tt.name, diff)
		}
		want := strings.Split(tt.want, " ")
		if strconv.Itoa(w.Code) != want[1] {
			t.Errorf("%s: answered %d, want %s", tt.name, w.Code, want[1])
		}
		if strings.Contains(w.Body.String(), want[2]) && want[2] != "malformed" {
			t.Errorf("%s: the sender gets %s", tt.name, w.Body)
		}
		if slices.Contains(causesOf(unauthenticated), cause(want[2])) && (want[1] == "401") {
			answers[w.Body.String()] = tt.name
		}
	}
	if len(answers) != 1 {
		t.Errorf("unknown peers are answered in %d ways: %v", len(answers), answers)
	}
}

func TestRefusals_LeaveALineEachThatGivesNothingAway(t *testing.T) {
	t.Parallel()
	r := newRefuser(t)
	now := time.Now()
	mailgun, _ := registry.Find("mailgun")
	gun := string(providertest.Play(t, mailgun.Dialect, providertest.Happened(schemas.Delivered, "", ""), 0).Body)
	r.serve("POST", Prefix+"tokens", gun, nil)
	for _, tt := range refusalCases(t, now) {
		r.serve(tt.method, tt.target, tt.body, tt.header)
	}
	lines := map[string]bool{}
	for _, line := range r.logs.All() {
		if line.Level != zap.WarnLevel {
			continue
		}
		f := line.ContextMap()
		if line.Message == "webhook was refused" {
			source, _ := f["source"].(string)
			reason, _ := f["reason"].(string)
			lines[source+" "+reason] = true
		}
		for key, value := range f {
			text, _ := value.(string)
			for _, secret := range []string{wrongSecret, testPassword, personal, "acme-mailjte", "wp-login", "evil.example", "192.0.2.1"} {
				if strings.Contains(text, secret) {
					t.Errorf("%q has %s in %s", line.Message, secret, key)
				}
			}
		}
	}
	for _, tt := range refusalCases(t, now) {
		want := strings.Split(tt.want, " ")
		if want[2] != "not_stored" && !lines[want[0]+" "+want[2]] {
			t.Errorf("%s left no line", tt.name)
		}
	}
}

func TestRefusals_EveryCauseIsOfAnOutcomeAndIsTried(t *testing.T) {
	t.Parallel()
	tried := map[cause]bool{
		// Held elsewhere, since they need a clock, a full service or a network.
		slowBody: true, tooManyRequests: true, tooManyBytes: true, starting: true, keyUnavailable: true,
	}
	for _, tt := range refusalCases(t, time.Now()) {
		tried[cause(strings.Split(tt.want, " ")[2])] = true
	}
	for _, o := range outcomes() {
		refuses := o != taken && o != probed
		if refuses != (len(causesOf(o)) > 0) {
			t.Errorf("%s has %d causes", o, len(causesOf(o)))
		}
		for _, c := range causesOf(o) {
			if !tried[c] {
				t.Errorf("nothing is refused for %s", c)
			}
		}
	}
	for v := webhookverify.Refused; v.Refuses(); v++ {
		x := &exchange{source: new(source)}
		x.r.Request = httptest.NewRequest(http.MethodPost, "/", nil)
		if c := x.causeOfVerdict(v); !slices.Contains(causesOf(unauthenticated), c) || c == wrongSignature && v != webhookverify.Refused {
			t.Errorf("verdict %d is %s", v, c)
		}
	}
}

func TestDocs_SayOfEveryCauseWhatToDo(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes() {
		for _, c := range causesOf(o) {
			if !strings.Contains(string(guide), "`"+string(c)+"`") {
				t.Errorf("nothing is said of %s", c)
			}
		}
	}
}

func TestRefusals_AFloodIsAFewLinesAndNoNewSeries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRefuser(t)
		series := func() int {
			families, err := r.registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, f := range families {
				n += len(f.GetMetric())
			}
			return n
		}
		before := series()
		for i := range 5_000 {
			r.serve("POST", Prefix+"made-up-"+strconv.Itoa(i), "", nil)
			r.serve("POST", Prefix+testSource, "", basicOf(testUser, strconv.Itoa(i)))
			time.Sleep(time.Millisecond)
		}
		if n := r.logs.Len(); n != 2 {
			t.Errorf("%d lines of 10,000 refusals in 5 s, want 2", n)
		}
		if after := series(); after != before {
			t.Errorf("%d series became %d", before, after)
		}
		time.Sleep(10 * time.Second)
		r.serve("POST", Prefix+testSource, "", nil)
		r.serve("POST", Prefix+testSource, "", basicOf(testUser, ""))
		last := r.logs.All()[r.logs.Len()-1].ContextMap()
		if last["reason"] != "wrong_credentials" || last["lines_held"] != int64(4_999) {
			t.Errorf("the next line says %v", last)
		}
	})
}

func TestLastEvent_IsThereFromTheFirstEventOn(t *testing.T) {
	t.Parallel()
	r := newRefuser(t)
	r.producer = &failing{}
	last := func() map[string]float64 {
		families, err := r.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]float64{}
		for _, f := range families {
			if f.GetName() != "mailstream_ingress_last_event_timestamp_seconds" {
				continue
			}
			for _, m := range f.GetMetric() {
				found[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetGauge().GetValue()
			}
		}
		return found
	}
	if got := last(); len(got) != 0 {
		t.Errorf("before the first event: %v", got)
	}
	for range 2 {
		before := time.Now().Add(-time.Second)
		r.serve("POST", Prefix+"open", "["+bounceItem+",17]", nil) // the second is a dead letter
		got := last()
		at := time.UnixMilli(int64(got["open bounced"] * 1000))
		if len(got) != 1 || at.Before(before) || at.After(time.Now()) {
			t.Errorf("after an event: %v", got)
		}
	}
	r.producer = &failing{err: fate.Wrap(fate.Retry, kafka.ErrTimeout)}
	r.serve("POST", Prefix+"open", sentItem, nil)
	if got := last(); len(got) != 1 {
		t.Errorf("an event that was not stored counts: %v", got)
	}
}
