package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/suppression/internal/api"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const partitions = 4

// memoryTopic is a topic in memory: it acknowledges at once, or refuses.
type memoryTopic struct {
	mu     sync.Mutex
	refuse error
	ends   map[int32]int64
}

func (l *memoryTopic) Publish(_ context.Context, recs ...*kgo.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	for _, r := range recs {
		r.Partition = int32(kgo.StickyKeyPartitioner(nil).ForTopic(r.Topic).Partition(r, partitions))
		r.Offset = l.ends[r.Partition]
		l.ends[r.Partition]++
	}
	return nil
}

// follower has applied what it has read.
type follower struct {
	mu      sync.Mutex
	applied map[int32]int64
	lag     time.Duration
}

func (f *follower) Wait(ctx context.Context, partition int32, offset int64) error {
	f.mu.Lock()
	done := f.applied[partition] > offset
	f.mu.Unlock()
	if done {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (f *follower) Applied() map[int32]int64 { return f.applied }
func (f *follower) Lag() time.Duration       { return f.lag }

type fixture struct {
	tb       testing.TB
	api      *api.API
	store    *store.Memory
	topic    *memoryTopic
	follower *follower
	logs     *observer.ObservedLogs
	hasher   *address.Hasher
	trail    trail
}

// trail keeps what is noted, unless Kafka is away.
type trail struct {
	entries []audit.Entry
	away    bool
}

func (t *trail) Note(_ context.Context, e audit.Entry) error {
	if t.away {
		return audit.ErrAway
	}
	t.entries = append(t.entries, e)
	return nil
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	hasher, err := address.NewHasher(config.Literal("pepper-of-the-api-tests"))
	if err != nil {
		tb.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	f := &fixture{
		tb: tb, store: store.NewMemory(nil), logs: logs, hasher: hasher,
		topic:    &memoryTopic{ends: map[int32]int64{}},
		follower: &follower{applied: map[int32]int64{0: 0, 1: 0, 2: 0, 3: 0}, lag: 7 * time.Millisecond},
	}
	book := ledger.New(ledger.Options{
		Topic: "email.suppressions", Partitions: partitions, Store: f.store, Publisher: f.topic,
		Hash: hasher.Hash, Former: hasher.Former, Metrics: ledger.NewMetrics(prometheus.NewRegistry()), Log: zap.New(core),
	})
	f.api = api.New(api.Options{
		Key: hasher.Key, FormerKey: hasher.FormerKey, Transactional: []string{"transactional"},
		MailboxProvider:      func(domain string) string { return map[string]string{"gmail.com": "google"}[domain] },
		KnownMailboxProvider: func(name string) bool { return name == "google" },
		TokenWait:            10 * time.Millisecond, StaleAfter: 30 * time.Second, Trail: &f.trail,
		Metrics: api.NewMetrics(prometheus.NewRegistry()), Log: zap.New(core),
	})
	f.api.Open(api.Backend{Reader: f.store, Writer: book, Follower: f.follower, Epoch: ledger.NewEpoch("topic")})
	return f
}

func (f *fixture) do(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	f.api.ServeHTTP(w, r)
	return w
}

// ok sends a request that must be answered 200 and decodes the answer.
func (f *fixture) ok(method, path string, v, out any) {
	f.tb.Helper()
	body := ""
	if v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			f.tb.Fatal(err)
		}
		body = string(b)
	}
	w := f.do(method, path, body)
	if w.Code != 200 {
		f.tb.Fatalf("%s %s %s = %d %s", method, path, body, w.Code, w.Body)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
		f.tb.Fatal(err)
	}
}

type object = map[string]any

type row struct {
	Address string `json:"address"`
	Hash    string `json:"recipient_hash"`
	Reason  string `json:"reason"`
	Scope   string `json:"scope"`
	Note    string `json:"note"`
	Expires string `json:"expires"`
	Since   string `json:"since"`
}

type answer struct {
	Suppressed []row  `json:"suppressed"`
	Checked    int    `json:"checked"`
	Stale      bool   `json:"stale"`
	LagMS      int    `json:"lag_ms"`
	Token      string `json:"token"`
	Invalid    []struct {
		Index   int    `json:"index"`
		Address string `json:"address"`
		Error   string `json:"error"`
	} `json:"invalid"`
	Suppressions []row  `json:"suppressions"`
	NextCursor   string `json:"next_cursor"`
	Changed      int    `json:"changed"`
}

func (f *fixture) put(v object) answer {
	f.tb.Helper()
	var got answer
	f.ok("PUT", "/v1/suppressions", v, &got)
	return got
}

func (f *fixture) check(v object) answer {
	f.tb.Helper()
	var got answer
	f.ok("POST", "/v1/suppressions/check", v, &got)
	return got
}

func TestAPI_NotReadyBeforeOpen(t *testing.T) {
	t.Parallel()
	a := api.New(api.Options{Metrics: api.NewMetrics(prometheus.NewRegistry()), Log: zap.NewNop()})
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest("POST", "/v1/suppressions/check", strings.NewReader(`{"addresses":[]}`)))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestAPI_CheckAnswersEachAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(object{"address": "Listed@Example.com", "note": "asked by phone"})
	got := f.check(object{"addresses": []string{"free@example.com", "LISTED@example.com", "nonsense", "listed@example.com", ""}, "stream": "marketing"})
	var rows []string
	for _, s := range got.Suppressed {
		rows = append(rows, s.Address+" "+s.Reason+" "+s.Scope+" "+s.Note)
	}
	want := []string{"LISTED@example.com manual account asked by phone", "listed@example.com manual account asked by phone"}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
	if got.Checked != 3 || len(got.Invalid) != 2 || got.Invalid[0].Index != 2 || got.Invalid[1].Index != 4 || got.Invalid[0].Address != "nonsense" {
		t.Errorf("checked %d, invalid %+v", got.Checked, got.Invalid)
	}
	if got.LagMS != 7 || got.Stale {
		t.Errorf("lag %d ms, stale %v", got.LagMS, got.Stale)
	}
	f.follower.lag = time.Minute
	if got := f.check(object{"addresses": []string{}}); !got.Stale || got.Suppressed == nil {
		t.Errorf("a minute behind: %+v", got)
	}
}

func TestAPI_PutIsIdempotent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := object{"address": "a@example.com", "stream": "news", "note": "n", "expires": time.Now().Add(time.Hour).Format(time.RFC3339)}
	first, again := f.put(body), f.put(body)
	if first.Changed != 1 || again.Changed != 0 || first.Token == "" || first.Token != again.Token {
		t.Errorf("first %+v, again %+v", first, again)
	}
	body["note"] = "another"
	if got := f.put(body); got.Changed != 1 || got.Token == first.Token {
		t.Errorf("with another note: %+v", got)
	}
}

func TestAPI_ExpiredEntriesAreGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.put(object{"address": "a@example.com", "expires": time.Now().Add(time.Hour).Format(time.RFC3339Nano)})
		ask := object{"addresses": []string{"a@example.com"}}
		if got := f.check(ask); len(got.Suppressed) != 1 || got.Suppressed[0].Expires == "" {
			t.Fatalf("before: %+v", got)
		}
		time.Sleep(time.Hour)
		if got := f.check(ask); len(got.Suppressed) != 0 {
			t.Errorf("an hour later: %+v", got)
		}
		var got answer
		f.ok("GET", "/v1/suppressions", nil, &got)
		if len(got.Suppressions) != 0 {
			t.Errorf("listed after it expired: %+v", got)
		}
	})
}

func TestAPI_Remove(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		body   object
		status int
		left   []string // reasons in force afterwards
	}{
		{"everything, with consent", object{"consent": true}, 200, nil},
		{"everything, without consent", object{}, 409, []string{"complaint", "manual", "unsubscribe"}},
		{"one reason", object{"reason": "manual"}, 200, []string{"complaint", "unsubscribe"}},
		{"the complaint, without consent", object{"reason": "complaint"}, 409, []string{"complaint", "manual", "unsubscribe"}},
		{"the complaint, with consent", object{"reason": "complaint", "consent": true}, 200, []string{"manual", "unsubscribe"}},
		{"one list", object{"list": "1"}, 200, []string{"complaint", "manual"}},
		{"another list", object{"list": "2"}, 200, []string{"complaint", "manual", "unsubscribe"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.put(object{"address": "a@example.com"})
			f.put(object{"address": "a@example.com", "reason": "complaint"})
			f.put(object{"address": "a@example.com", "reason": "unsubscribe", "list": "1"})
			tt.body["address"], tt.body["note"] = "A@example.com", "ticket 12"
			b, _ := json.Marshal(tt.body) // maps of text and bools
			if w := f.do("POST", "/v1/suppressions/remove", string(b)); w.Code != tt.status {
				t.Fatalf("%d %s, want %d", w.Code, w.Body, tt.status)
			}
			var got answer
			f.ok("GET", "/v1/suppressions", nil, &got)
			var left []string
			for _, r := range got.Suppressions {
				left = append(left, r.Reason)
			}
			if diff := cmp.Diff(tt.left, left); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPI_AddAfterALiftOfTheSameMoment(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 50 { // far more often than once a millisecond
		f.put(object{"address": "a@example.com"})
		if got := f.check(object{"addresses": []string{"a@example.com"}}); len(got.Suppressed) != 1 {
			t.Fatal("added and not suppressed")
		}
		f.ok("POST", "/v1/suppressions/remove", object{"address": "a@example.com", "note": "n"}, nil)
		if got := f.check(object{"addresses": []string{"a@example.com"}}); len(got.Suppressed) != 0 {
			t.Fatal("lifted and still suppressed")
		}
	}
}

func TestAPI_TokenOfTheFutureIsRefusedInTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token := f.put(object{"address": "a@example.com"}).Token
	w := f.do("POST", "/v1/suppressions/check", `{"addresses":["a@example.com"],"min_token":"`+token+`"}`)
	if w.Code != 409 || !strings.Contains(w.Body.String(), `"not_yet_applied"`) || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.follower.mu.Lock()
	for p := range f.follower.applied {
		f.follower.applied[p] = 1
	}
	f.follower.mu.Unlock()
	got := f.check(object{"addresses": []string{"a@example.com"}, "min_token": token})
	if got.Token != token {
		t.Errorf("token of the check = %q, want %q", got.Token, token)
	}
}

// slowBody says that it was asked for, then waits.
type slowBody struct{ asked, release chan struct{} }

func (b slowBody) Read([]byte) (int, error) {
	b.asked <- struct{}{}
	<-b.release
	return 0, io.EOF
}

func TestAPI_BulkIsBoundedAndSmallGoesOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := slowBody{asked: make(chan struct{}), release: make(chan struct{})}
	const bulkInFlightMax = 16
	var wg sync.WaitGroup
	for range bulkInFlightMax {
		wg.Go(func() {
			f.api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/suppressions/check", body))
		})
		<-body.asked
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, httptest.NewRequest("POST", "/v1/suppressions/check", body)) // of unknown length: bulk
	if w.Code != 503 || !strings.Contains(w.Body.String(), "busy") || w.Header().Get("Retry-After") == "" {
		t.Errorf("one more bulk = %d %s", w.Code, w.Body)
	}
	f.check(object{"addresses": []string{"a@example.com"}})
	close(body.release)
	wg.Wait()
}

func TestAPI_KafkaAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(object{"address": "a@example.com"})
	f.topic.refuse = errors.New("no broker")
	for _, call := range []struct{ method, path, body string }{
		{"PUT", "/v1/suppressions", `{"address":"b@example.com"}`},
		{"POST", "/v1/suppressions/remove", `{"address":"a@example.com","note":"n"}`},
	} {
		if w := f.do(call.method, call.path, call.body); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s = %d %s", call.method, w.Code, w.Body)
		}
	}
	got := f.check(object{"addresses": []string{"a@example.com", "b@example.com"}})
	if len(got.Suppressed) != 1 || got.Suppressed[0].Address != "a@example.com" {
		t.Errorf("what was not acknowledged shows: %+v", got)
	}
}

func TestAPI_EntriesOfAnAddressAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 500 {
		f.put(object{"address": "a@example.com", "list": fmt.Sprint(i)})
	}
	w := f.do("PUT", "/v1/suppressions", `{"address":"a@example.com","list":"one more"}`)
	if w.Code != 409 || !strings.Contains(w.Body.String(), "too_many_entries") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.put(object{"address": "a@example.com", "list": "7", "note": "changed"})
}

func TestAPI_NoAddressAndNoTokenInTheLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token := f.put(object{"address": "private@example.com", "note": "confidential"}).Token
	f.check(object{"addresses": []string{"private@example.com", "secret nonsense"}})
	f.do("POST", "/v1/suppressions/check", `{"addresses":["private@example.com"],"min_token":"`+token+`"}`)
	f.do("POST", "/v1/suppressions/remove", `{"address":"private@example.com","note":"confidential"}`)
	f.topic.refuse = errors.New("no broker")
	f.do("PUT", "/v1/suppressions", `{"address":"private@example.com","note":"confidential 2"}`)
	text := new(bytes.Buffer)
	for _, e := range f.logs.All() {
		fmt.Fprintln(text, e.Message, e.ContextMap())
	}
	if f.logs.Len() < 2 { // a change and a failure; a second change at once is throttled
		t.Errorf("only %d lines: the test proves nothing", f.logs.Len())
	}
	for _, private := range []string{"private", "confidential", "nonsense", token} {
		if strings.Contains(text.String(), private) {
			t.Errorf("%q is in the log:\n%s", private, text)
		}
	}
}

// TestChanges_AreNotedBeforeTheyAreMade makes each change as an application does, and as
// the console does for a person; without the audit nothing is changed.
func TestChanges_AreNotedBeforeTheyAreMade(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ method, path, body, action, note string }{
		{"PUT", "/v1/suppressions", `{"address":"ana@example.com","note":"asked"}`, "suppression.add", "asked"},
		{"POST", "/v1/suppressions/remove", `{"address":"bob@example.com","note":"a new mailbox"}`, "suppression.lift", "a new mailbox"},
		{"POST", "/v1/suppressions/bulk", `{"action":"add","addresses":["ana@example.com","cy@example.com"],"note":"x"}`, "suppression.add", "2 addresses: x"},
		{"POST", "/v1/suppressions/bulk", `{"action":"lift","addresses":["bob@example.com"],"note":"x"}`, "suppression.lift", "1 address: x"},
		{"POST", "/v1/suppressions/lift", `{"reason":"manual","added_from":"2000-01-01T00:00:00Z","added_to":"2100-01-01T00:00:00Z","note":"x"}`, "suppression.lift", "1 address: x"},
		{"POST", "/v1/suppressions/import?note=old", "address\nana@example.com\n", "suppression.import", "old"},
	} {
		f := newFixture(t)
		f.ok("PUT", "/v1/suppressions", map[string]string{"address": "bob@example.com"}, nil)
		f.trail.entries, f.trail.away = nil, true
		written := len(f.topic.ends)
		if w := f.do(tc.method, tc.path, tc.body); w.Code != 503 || !strings.Contains(w.Body.String(), "nothing was changed") || len(f.topic.ends) != written {
			t.Errorf("%s %s without the audit: %d %s", tc.method, tc.path, w.Code, w.Body)
		}
		f.trail.away = false
		if w := f.do(tc.method, tc.path, tc.body); w.Code != 200 {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, w.Code, w.Body)
		}
		r := httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body))
		audit.SayFor(r, "José", "operator")
		if tc.path == "/v1/suppressions/lift" {
			f.ok("PUT", "/v1/suppressions", map[string]string{"address": "bob@example.com"}, nil)
			f.trail.entries = f.trail.entries[:1]
		}
		f.api.ServeHTTP(httptest.NewRecorder(), r)
		if len(f.trail.entries) != 2 {
			t.Errorf("%s %s: noted %+v", tc.method, tc.path, f.trail.entries)
			continue
		}
		api, person := f.trail.entries[0], f.trail.entries[1]
		if api.By != "api" || api.Role != audit.RoleAPI || api.Action != tc.action || api.Note != tc.note || person.By != "José" || person.Role != "operator" || strings.Contains(api.Object, "@") {
			t.Errorf("%s %s: noted %+v and %+v", tc.method, tc.path, api, person)
		}
	}
}
