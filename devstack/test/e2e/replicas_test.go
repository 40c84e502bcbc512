package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// replicas are suppression services of one list, and the command that works on it.
type replicas struct {
	w      *world
	binary string
}

// start runs one more with a folder of its own; more are lines of its section.
func (r replicas) start(name string, more ...string) *process {
	r.w.t.Helper()
	config := filepath.Join(r.w.t.TempDir(), name+".yaml")
	text := fmt.Sprintf(`
kafka: {brokers: [%q], topic_prefix: %q, group_prefix: %q, instance_id: %s}
privacy: {pepper: development-pepper-not-a-secret}
state: {dir: %q}
suppression:
  tokens: [dev]
  metrics_listen: "off"
  %s
`, r.w.stack.Kafka(), r.w.prefix, r.w.prefix, name, r.w.t.TempDir(), strings.Join(more, "\n  "))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		r.w.t.Fatal(err)
	}
	p := &process{w: r.w, name: pipeline.Suppression, binary: r.binary, config: config}
	p.start()
	r.w.t.Cleanup(func() {
		p.kill()
		if r.w.t.Failed() {
			r.w.t.Logf("the last of %s:\n%s", name, &p.lines)
		}
	})
	if r.w.t.Failed() {
		r.w.t.FailNow()
	}
	servicetest.Eventually(r.w.t, name+" is ready", func() bool {
		status, _ := r.w.call(http.MethodGet, p.url()+"/readyz", "", bearer)
		return status == http.StatusOK
	})
	return p
}

// run gives `mailstream suppressions` to one of them and returns what it prints.
func (r replicas) run(at *process, args ...string) string {
	r.w.t.Helper()
	cmd := exec.Command(r.binary, append([]string{"suppressions", args[0], "--url", at.url()}, args[1:]...)...)
	cmd.Env = []string{"MAILSTREAM_SUPPRESSION_TOKEN=dev"}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		r.w.t.Fatalf("%v: %v\n%s%s", args, err, out, &said)
	}
	return string(out)
}

// list is the whole list as a replica has it.
func (r replicas) list(at *process) string { return r.run(at, "export", "--format", "ndjson") }

// wantAlike waits until all have the same list of so many entries.
func (r replicas) wantAlike(entries int, all ...*process) {
	r.w.t.Helper()
	lists := make([]string, len(all))
	servicetest.EventuallyOr(r.w.t, func() bool {
		for i, p := range all {
			if lists[i] = r.list(p); lists[i] != lists[0] || strings.Count(lists[i], "\n") != entries {
				return false
			}
		}
		return true
	}, func() string {
		said := fmt.Sprintf("want %d entries", entries)
		for i, list := range lists {
			said += fmt.Sprintf("; replica %d has %d", i, strings.Count(list, "\n"))
		}
		return said
	})
}

// blocked is a stand-in of Resend's suppressions: a list of one page.
type blocked struct {
	mu      sync.Mutex
	entries map[string]bool
}

func (b *blocked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer key-of-the-tests" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	data := []map[string]string{}
	if r.Method == http.MethodPost {
		var body struct{ Emails []string }
		if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Emails) > 100 {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		for _, address := range body.Emails {
			b.entries[address] = true
		}
	} else {
		for address := range b.entries {
			data = append(data, map[string]string{"id": address, "email": address, "origin": "bounce", "created_at": "2026-03-04 09:15:30.123456+00"})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data, "has_more": false}) // to ourselves
}

// TestReplicas_HaveOneListWhateverTheyBeganWith goes from a file and a provider's list to
// two replicas, to one that began with a snapshot and to one that read a compacted topic.
func TestReplicas_HaveOneListWhateverTheyBeganWith(t *testing.T) {
	t.Parallel()
	w := newWorldWithout(t)
	r := replicas{w, build(t, "../../../services/cmd/mailstream")}
	a, b := r.start("a"), r.start("b")

	// an import at one, while people write at both
	const imported, written = 3000, 40
	var text strings.Builder
	text.WriteString("address,reason,note\n")
	for i := range imported {
		fmt.Fprintf(&text, "u%d@example.com,hard_bounce,old system\n", i)
	}
	file := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for n, p := range []*process{a, b} {
		writers.Go(func() {
			for i := range written { // the same addresses, each with an entry of its own
				body := fmt.Sprintf(`{"address":"u%d@example.com","list":"%d"}`, i, n)
				if status, text := w.call(http.MethodPut, p.url()+"/v1/suppressions", body, bearer); status != http.StatusOK {
					t.Errorf("put: %d %s", status, text)
				}
			}
		})
	}
	r.run(a, "import", file)
	writers.Wait()
	r.wantAlike(imported+2*written, a, b)

	// a provider's list in, and ours out
	provider := &blocked{entries: map[string]bool{"u1@example.com": true, "theirs@example.org": true}}
	server := httptest.NewServer(provider)
	defer server.Close()
	providers := filepath.Join(t.TempDir(), "providers.yaml")
	section := fmt.Sprintf("providers: [{source: acme, provider: resend, key: key-of-the-tests, writable: true, url: %q}]\n", server.URL)
	if err := os.WriteFile(providers, []byte(section), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(b, "sync", "--source", "acme", "--config", providers, "--apply")
	const entries = imported + 2*written + 1
	r.wantAlike(entries, a, b)
	r.run(a, "sync", "--source", "acme", "--config", providers, "--apply", "--push")
	if len(provider.entries) != imported+1 {
		t.Errorf("the provider has %d entries, want %d", len(provider.entries), imported+1)
	}

	// one that begins with a snapshot and reads the rest of the topic
	c := r.start("c", fmt.Sprintf("snapshot: {url: %q, token: dev}", a.url()))
	w.call(http.MethodPut, b.url()+"/v1/suppressions", `{"address":"late@example.com"}`, bearer)
	r.wantAlike(entries+1, a, b, c)

	// and one that reads all of the topic, of which only the last records are left
	before, left := r.compact(a)
	t.Logf("the topic has %d of %d records", left, before)
	r.wantAlike(entries+1, r.start("d"), a, b, c)
}

// counted returns how many records the list's topic was given, and how many are left.
func (r replicas) counted() (given, left int64) {
	r.w.t.Helper()
	topic := schemas.SuppressionsTopic(r.w.prefix)
	client, err := kgo.NewClient(kgo.SeedBrokers(r.w.stack.Kafka()), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		r.w.t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(r.w.t.Context(), topic)
	if err != nil {
		r.w.t.Fatal(err)
	}
	open := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if given += o.Offset; o.Offset > 0 {
			open[o.Partition] = o.Offset
		}
	})
	for len(open) > 0 { // the last record of a partition is never compacted
		fetches := client.PollFetches(r.w.t.Context())
		if err := fetches.Err0(); err != nil {
			r.w.t.Fatal(err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			left++
			if rec.Offset+1 >= open[rec.Partition] {
				delete(open, rec.Partition)
			}
		})
	}
	return given, left
}
