package ingress

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

// golden are the requests of the fixture suite.
func golden(tb testing.TB) []string {
	tb.Helper()
	paths, err := filepath.Glob("../internal/provider/mailjet/testdata/*.in.json")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("%d fixtures, %v", len(paths), err)
	}
	var out []string
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

func TestIngress_TheSameRequestAnyNumberOfTimesHasTheSameIDs(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	requests := golden(t)
	round := func() {
		rand.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
		for _, body := range requests {
			h.post(body)
		}
	}
	ids := func() map[string]int {
		out := map[string]int{}
		for _, e := range h.events() {
			out[string(e.Type)+" "+e.ID]++
		}
		return out
	}
	round()
	first := ids()
	round()
	round()
	again := ids()
	if len(first) < 50 || len(again) != len(first) {
		t.Errorf("%d ids after one round, %d after three", len(first), len(again))
	}
	for id, n := range again {
		if n != 3*first[id] {
			t.Errorf("%s came %d times in one round, %d in three", id, first[id], n)
		}
	}
	h.wantBalance()
}

// wantBalance checks that every item received is accounted for.
func (h *harness) wantBalance() {
	h.tb.Helper()
	received := h.metric("mailstream_ingress_items_received_total", "source", testSource)
	published := h.metric("mailstream_ingress_events_published_total", "source", testSource)
	dead := h.metric("mailstream_ingress_items_dead_lettered_total", "source", testSource)
	rejected := h.metric("mailstream_ingress_items_rejected_total", "source", testSource)
	if received == 0 || received != published+dead+rejected {
		h.tb.Errorf("received %v, published %v, dead-lettered %v, rejected %v", received, published, dead, rejected)
	}
	if n := len(h.events()); float64(n) != published {
		h.tb.Errorf("%d events in the topics, %v counted", n, published)
	}
	if n := len(h.deadLetters()); float64(n) != dead {
		h.tb.Errorf("%d dead letters in the topic, %v counted", n, dead)
	}
}

func TestIngress_PartitionsByPerson(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	var items []string
	for i := range 40 {
		address := fmt.Sprintf("p%d@example.com", i%10)
		items = append(items, strings.Replace(numbered(i), "ana@example.com", address, 1),
			strings.Replace(bounceItem, "nobody@example.com", address, 1))
	}
	wantStatus(t, h.post("["+strings.Join(items, ",")+"]"), http.StatusOK)
	partitions := map[string]int32{}
	order := map[string]string{}
	for _, typ := range []schemas.Type{schemas.Delivered, schemas.Bounced} {
		for _, r := range h.records(typ) {
			if p, ok := partitions[string(r.Key)]; ok && p != r.Partition {
				t.Errorf("key %s is in partitions %d and %d", r.Key, p, r.Partition)
			}
			partitions[string(r.Key)] = r.Partition
			e, err := schemas.Decode(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			if typ == schemas.Delivered {
				if e.MessageID <= order[string(r.Key)] {
					t.Errorf("message %s after %s", e.MessageID, order[string(r.Key)])
				}
				order[string(r.Key)] = e.MessageID
			}
		}
	}
	if len(partitions) != 10 {
		t.Errorf("%d keys, want 10", len(partitions))
	}
}

func TestIngress_TakesGzipAndChunks(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	large := group(sentItem, 300) // beyond several steps of the buffer
	got := h.do(call{body: zipped(t, large), header: map[string]string{"Content-Encoding": "gzip"}})
	wantStatus(t, got, http.StatusOK)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.Addr()+Prefix+testSource, struct{ *strings.Reader }{strings.NewReader(large)})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1
	req.SetBasicAuth(testUser, testPassword)
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("chunked: status %d", resp.StatusCode)
	}
	if n := len(h.events(schemas.Delivered)); n != 600 {
		t.Errorf("%d events, want 600", n)
	}
}

func TestPath_IsTheListOfTheArchitecture(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "**ingress**")
	list, _, _ = strings.Cut(list, "\n**")
	var names, want []string
	for _, s := range path {
		names = append(names, s.name)
	}
	for _, line := range regexp.MustCompile(`(?m)^\d+\. (\w+):`).FindAllStringSubmatch(list, -1) {
		want = append(want, line[1])
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("stages (-documented +path):\n%s", diff)
	}
}

func TestMetrics_ObeyTheConventions(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	h.post(bounceItem)
	problems, err := testutil.GatherAndLint(h.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "mailstream_ingress_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestNew_ListsEveryFault(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Listen = "nowhere"
	cfg.TrustedProxies = []string{"10.0.0.0/8", "proxy"}
	cfg.BodyBytesMax = 1
	cfg.ItemsMax = 0
	cfg.RequestsInFlightMax = -1
	cfg.BodyBytesInFlightMax = 0
	cfg.RetryAfter = 0
	cfg.Sources = append(cfg.Sources, cfg.Sources[0],
		Source{Name: "Upper Case", Provider: "carrier-pigeon"},
		Source{Name: "open", Provider: "mailjet", Auth: auth.Config{None: true}, AllowFrom: []string{"everywhere"}},
		Source{Name: "signed", Provider: "mailjet", Auth: auth.Config{SigningKeys: auth.Secrets{config.Literal("key")}}})
	_, err := New(cfg, testShared(t, kafkatest.Start(t)))
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		"ingress.listen:", "ingress.trusted_proxies:", `"proxy"`, "ingress.body_bytes_max:", "ingress.items_max:", "ingress.requests_in_flight_max:",
		"ingress.body_bytes_in_flight_max:", "ingress.retry_after:", "ingress.sources[1].name:", "ingress.sources[2].name:",
		"ingress.sources[2].provider:", "ingress.sources[2].auth:", "ingress.sources[3].auth:", "allow_unauthenticated",
		"ingress.sources[3].allow_from:", "ingress.sources[4].auth.signing_keys:",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

func TestNew_RefusesBodiesThatFitIntoNoDeadLetter(t *testing.T) {
	t.Parallel()
	kc := kafkatest.Start(t)
	kc.Topics.DeadLetterBytesMax = 2 * config.MiB
	if _, err := New(testConfig(), testShared(t, kc)); err == nil || !strings.Contains(err.Error(), "dead_letter_bytes_max") {
		t.Errorf("error %v", err)
	}
}
