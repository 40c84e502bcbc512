package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/mailstream/mailstream/devstack/stack"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// patience bounds every wait of a test; it is far above what a wait should
// take, so that a busy machine fails no test.
const patience = servicetest.Patience

// world is one running stack and what a test does to it.
type world struct {
	t      *testing.T
	opt    stack.Options
	stack  *stack.Stack
	cancel context.CancelFunc
	done   chan error
	prefix string

	retryAfter string // header of the last answer
}

var prefixes atomic.Int64

// newWorld starts a stack in a folder of its own, with topics of its own.
func newWorld(t *testing.T, environ ...string) *world {
	t.Helper()
	w := prepareWorld(t, environ...)
	w.start()
	t.Cleanup(w.stop)
	return w
}

// newWorldWithout starts a stack without the services, for tests that run them
// as processes of their own.
func newWorldWithout(t *testing.T) *world {
	t.Helper()
	w := prepareWorld(t)
	w.opt.NoServices = true
	w.start()
	t.Cleanup(w.stop)
	return w
}

func prepareWorld(t *testing.T, environ ...string) *world {
	t.Helper()
	w := newFolder(t, environ...)
	from, err := migrated.from(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(w.clickhouse(), os.DirFS(from)); err != nil {
		t.Fatalf("copy migrated tables: %v", err)
	}
	return w
}

// newFolder is a stack with nothing in its folder.
func newFolder(t *testing.T, environ ...string) *world {
	t.Helper()
	w := &world{t: t, prefix: fmt.Sprintf("e2e%d-%d.", os.Getpid(), prefixes.Add(1))}
	w.opt = stack.Options{
		DataDir: t.TempDir(), FreePorts: true, Brokers: externalBroker(t),
		Environ: append([]string{"MAILSTREAM_KAFKA_TOPIC_PREFIX=" + w.prefix, "MAILSTREAM_KAFKA_GROUP_PREFIX=" + w.prefix}, environ...),
	}
	return w
}

// clickhouse is the folder of the engine's data.
func (w *world) clickhouse() string { return filepath.Join(w.opt.DataDir, "clickhouse") }

// migrated is what all stacks of this process begin with: the tables, which take most of
// the processor time of a start, and no row but those about migrations.
var migrated template

// template is a data folder of ClickHouse.
type template struct {
	mu  sync.Mutex
	dir string // "" before the first stack
}

// from returns the folder, which the first call makes.
func (m *template) from(t *testing.T) (dir string, err error) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dir != "" {
		return m.dir, nil
	}
	w := newFolder(t)
	w.opt.NoServices = true
	w.start()
	w.stop()
	if dir, err = os.MkdirTemp("", "mailstream-e2e-"); err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, os.DirFS(w.clickhouse())); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	m.dir = dir
	return dir, nil
}

// remove ends the use of it.
func (m *template) remove() error { return os.RemoveAll(m.dir) }

func (w *world) start() {
	w.t.Helper()
	w.opt.Log = zaptest.NewLogger(w.t, zaptest.Level(zap.WarnLevel))
	s, err := stack.New(w.opt)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stack, w.cancel, w.done = s, cancel, make(chan error, 1)
	go func() { w.done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-w.done:
		w.done <- err
		w.t.Fatalf("stack ended: %v", err)
	case <-time.After(5 * patience): // the first start fetches the engine
		w.t.Fatal("stack is not ready")
	}
}

func (w *world) stop() {
	w.cancel()
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Errorf("stop stack: %v", err)
		}
		w.done <- nil
	case <-time.After(patience):
		w.t.Error("stack does not stop")
	}
}

// post sends body to the ingress and wants it answered with status.
func (w *world) post(status int, body string) string {
	w.t.Helper()
	got, text := w.call(http.MethodPost, w.stack.URL(pipeline.Ingress)+"/v1/webhooks/mailjet", body, func(r *http.Request) { r.SetBasicAuth("dev", "dev") })
	if got != status {
		w.t.Fatalf("webhook answered %d %s, want %d", got, text, status)
	}
	return text
}

func (w *world) call(method, url, body string, edit func(*http.Request)) (int, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	edit(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.retryAfter = resp.Header.Get("Retry-After")
	return resp.StatusCode, string(text)
}

func bearer(r *http.Request) { r.Header.Set("Authorization", "Bearer dev") }

// sql returns the rows of a query, tab-separated.
func (w *world) sql(query string) []string {
	w.t.Helper()
	status, text := w.call(http.MethodPost, w.stack.ClickHouse()+"/?database=mailstream", query, func(*http.Request) {})
	if status != http.StatusOK {
		w.t.Fatalf("query answered %d: %s\n%s", status, text, query)
	}
	if text = strings.TrimSuffix(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// wantSQL waits until query returns the rows.
func (w *world) wantSQL(query string, want ...string) {
	w.t.Helper()
	var got []string
	servicetest.EventuallyOr(w.t, func() bool { got = w.sql(query); return slices.Equal(got, want) }, func() string {
		return fmt.Sprintf("%s\ngot  %q\nwant %q", query, got, want)
	})
}

type suppressed struct {
	Address, Reason, Scope, Since string
	Evidence                      struct {
		EventID string `json:"event_id"`
	}
}

// check asks which of the addresses must not be mailed.
func (w *world) check(stream string, addresses ...string) map[string]suppressed {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"addresses": addresses, "stream": stream})
	if err != nil {
		w.t.Fatal(err)
	}
	status, text := w.call(http.MethodPost, w.stack.URL(pipeline.Suppression)+"/v1/suppressions/check", string(body), bearer)
	var answer struct {
		Suppressed []suppressed `json:"suppressed"`
		Checked    int          `json:"checked"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK || answer.Checked != len(addresses) {
		w.t.Fatalf("check answered %d %s, %v", status, text, err)
	}
	found := map[string]suppressed{}
	for _, s := range answer.Suppressed {
		found[s.Address] = s
	}
	return found
}

// records reads all that the topics hold now.
func (w *world) records(topics ...string) []*kgo.Record {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.stack.Kafka()), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err != nil {
		w.t.Fatal(err)
	}
	var left int64
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	var all []*kgo.Record
	for int64(len(all)) < left {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

// alerts returns the states of the alerts by "rule dimension=value".
func (w *world) alerts() map[string]string {
	w.t.Helper()
	status, text := w.call(http.MethodGet, w.stack.URL(pipeline.Alerting)+"/v1/alerts", "", bearer)
	var answer struct {
		Alerts []struct {
			Rule, State string
			Labels      map[string]string
		} `json:"alerts"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
		w.t.Fatalf("alerts answered %d %s, %v", status, text, err)
	}
	found := map[string]string{}
	for _, a := range answer.Alerts {
		for _, dimension := range []string{"recipient_domain", "mailbox_provider"} {
			if v := a.Labels[dimension]; v != "" {
				found[dimension+"="+v] = a.State
			}
		}
	}
	return found
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}
