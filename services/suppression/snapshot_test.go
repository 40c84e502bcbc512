package suppression_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/suppression"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
)

// snapshot is what a replica answers.
func (r *replica) snapshot(query string) []byte {
	r.tb.Helper()
	return r.read("/v1/suppressions/snapshot" + query)
}

// shortTopic publishes people, one who was purged, and a pattern.
func shortTopic(t *testing.T, cfg kafka.Config) {
	t.Helper()
	var recs []*kgo.Record
	for i := range 3000 {
		recs = append(recs, stateRecord(t, fmt.Sprintf("u%d@example.com", i), manual("account", i%7), manual("list:1", i%5)))
	}
	gone := stateRecord(t, "u7@example.com")
	gone.Value = nil
	kafkatest.Produce(t, cfg, append(recs, gone, stateRecord(t, "*@blocked.example", manual("account", 1)))...)
}

func fromSnapshot(url string) func(*suppression.Config) {
	return func(c *suppression.Config) {
		c.Snapshot.URL = url
		if strings.HasPrefix(url, "http") {
			c.Snapshot.Token = config.Literal(token)
		}
	}
}

// startFrom starts a replica from a snapshot and says whether it was used, and why not.
func startFrom(t *testing.T, broker *kafkatest.Broker, url string) (r *replica, used bool, why string) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	r = start(t, options{broker: broker, log: zap.New(core), change: fromSnapshot(url)})
	for _, line := range logs.FilterMessage("local store could not be filled in one go, reading the topic").All() {
		why += fmt.Sprint(line.ContextMap())
	}
	return r, logs.FilterMessage("local store filled").Len() == 1, why
}

func write(t *testing.T, content []byte) (url string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.snapshot")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

func TestSnapshot_ReplicaFromItEqualsOneFromTheTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		shortTopic(t, cfg)
		one := start(t, options{broker: broker})
		other, used, why := startFrom(t, broker, one.url)
		if !used {
			t.Fatal("the snapshot was not used:", why)
		}
		want := one.exported()
		if got := other.exported(); got != want || strings.Count(want, "\n") < 5000 {
			t.Errorf("from the snapshot %d bytes, from the topic %d", len(got), len(want))
		}
		// and both go on alike
		kafkatest.Produce(t, cfg, stateRecord(t, "late@example.com", manual("account", 1)))
		for _, r := range []*replica{one, other} {
			r.wantCheck("late@example.com", "marketing", "manual")
			r.wantCheck("ana@blocked.example", "marketing", "manual")
			r.wantCheck("u7@example.com", "marketing", "")
		}
		if got, want := other.exported(), one.exported(); got != want {
			t.Errorf("afterwards %d bytes, %d", len(got), len(want))
		}
	})
}

// cutting passes requests on to a replica and cuts each of the first answers after some bytes.
func cutting(t *testing.T, broker *kafkatest.Broker, to *replica, after ...int64) (proxy string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	address := newAddress()
	listener, err := broker.Network.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1)) - 1
		req, err := http.NewRequestWithContext(r.Context(), r.Method, to.url+r.URL.RequestURI(), http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header
		resp, err := to.client.Do(req)
		if err != nil {
			panic(http.ErrAbortHandler) // who asked has gone
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		if n >= len(after) {
			_, _ = io.Copy(w, resp.Body) // as above
			return
		}
		_, _ = io.CopyN(w, resp.Body, after[n])   // as above
		_ = http.NewResponseController(w).Flush() // as above
		panic(http.ErrAbortHandler)
	})}
	go func() { _ = srv.Serve(listener) }() // ends when it is closed
	t.Cleanup(func() { _ = srv.Close() })
	return "http://" + address, asked
}

func TestSnapshot_ThatIsCutOffIsResumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		shortTopic(t, cfg)
		one := start(t, options{broker: broker})
		proxy, asked := cutting(t, broker, one, 200_000, 10, 50_000)
		other, used, why := startFrom(t, broker, proxy)
		if !used || asked.Load() != 4 {
			t.Errorf("used %t after %d requests: %s", used, asked.Load(), why)
		}
		if got, want := other.exported(), one.exported(); got != want {
			t.Errorf("from the snapshot %d bytes, from the topic %d", len(got), len(want))
		}
	})
}

func TestSnapshot_ThatDoesNotFitIsRefusedAndTheTopicRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		shortTopic(t, cfg)
		one := start(t, options{broker: broker})
		good, want := one.snapshot(""), one.exported()
		head, _, _ := bytes.Cut(good, []byte("\n"))
		changed := func(from, to string) []byte {
			out := bytes.Replace(good, []byte(from), []byte(to), 1)
			if bytes.Equal(out, good) {
				t.Fatalf("%q is not in %s", from, head)
			}
			return out
		}
		flipped := bytes.Clone(good)
		flipped[len(flipped)/2] ^= 1
		madeAt := strings.Split(string(head), `"made_at":"`)[1][:4]
		for _, tc := range []struct {
			name string
			file []byte
			why  string
		}{
			{"another version", changed(`"format":`, `"format":9`), "format"},
			{"another topic", changed(`"topic_id":"`, `"topic_id":"x`), "another topic"},
			{"old", changed(`"made_at":"`+madeAt, `"made_at":"1990`), "old"},
			{"of the future", changed(`"made_at":"`+madeAt, `"made_at":"2200`), "clocks"},
			{"further than the topic", changed(`"applied":{"0":`, `"applied":{"0":9`), "ends at offset"},
			{"cut in the middle", good[:len(good)/2], "cut off"},
			{"cut before its sum", good[:len(good)-2], "cut off"},
			{"a bit is another", flipped, "damaged"},
			{"empty", nil, "cut off"},
			{"something else", bytes.Repeat([]byte("<html>\n"), 100), "first line"},
		} {
			r, used, why := startFrom(t, broker, write(t, tc.file))
			if used || !strings.Contains(why, tc.why) {
				t.Errorf("%s: used %t, %q, want %q", tc.name, used, why, tc.why)
			}
			if got := r.exported(); got != want {
				t.Errorf("%s: the list has %d bytes, want %d", tc.name, len(got), len(want))
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		}
		if _, used, why := startFrom(t, broker, write(t, good)); !used {
			t.Error("the good one is not used:", why)
		}
		cl := kadm.NewClient(kafkatest.Client(t, cfg))
		kafkatest.Produce(t, cfg, stateRecord(t, "u1@example.com", manual("account", 1)), stateRecord(t, "u2@example.com", manual("account", 1)))
		ends, err := cl.ListEndOffsets(t.Context(), listTopic)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cl.DeleteRecords(t.Context(), ends.Offsets()); err != nil {
			t.Fatal(err)
		}
		if _, used, why := startFrom(t, broker, write(t, good)); used || !strings.Contains(why, "begins at offset") {
			t.Errorf("older than the topic: used %t, %q", used, why)
		}
	})
}

func TestSnapshot_BringsNobodyBackWhoWasForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		shortTopic(t, cfg)
		one := start(t, options{broker: broker})
		before := write(t, one.snapshot(""))
		forgotten := schemas.Suppression{Hash: hasher(t).Hash("u1@example.com"), ErasedAt: at(100), UpdatedAt: at(100), Entries: []schemas.SuppressionEntry{manual("account", 1)}}
		rec := stateRecord(t, "u1@example.com", forgotten.Entries...)
		rec.Value = fmt.Appendf(nil, `{"recipient_hash":%q,"erased_at":"1999-12-31T23:30:00Z","entries":[],"updated_at":"1999-12-31T23:30:00Z"}`, forgotten.Hash)
		purged := stateRecord(t, "u2@example.com")
		purged.Value = nil
		kafkatest.Produce(t, cfg, rec, purged)
		servicetest.Eventually(t, "the address is forgotten", func() bool {
			return !strings.Contains(one.exported(), `"u1@example.com"`) && one.check("u2@example.com", "") == ""
		})
		other, used, why := startFrom(t, broker, before)
		if !used {
			t.Fatal("the snapshot was not used:", why)
		}
		if got := other.exported(); strings.Contains(got, `"u1@example.com"`) || strings.Contains(got, `"u2@example.com"`) || got != one.exported() {
			t.Error("a person who was forgotten is on the list of a replica that began with an older snapshot")
		}
		if s := string(one.snapshot("")); strings.Contains(s, "u1@example.com") || strings.Contains(s, "u2@example.com") {
			t.Error("a snapshot has a person who was forgotten")
		}
	})
}

func TestService_AnotherPepperIsNoticedOnAStoreFromBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker, dir := kafkatest.StartVirtual(t), t.TempDir()
		cfg := broker.Config
		shortTopic(t, cfg)
		if err := start(t, options{broker: broker, dir: dir}).stop(); err != nil {
			t.Fatal(err)
		}
		other, err := address.NewHasher(config.Literal("another-pepper-of-the-tests"))
		if err != nil {
			t.Fatal(err)
		}
		c := suppression.Default()
		c.Listen, c.MetricsListen, c.AllowUnauthenticated = "127.0.0.1:0", "127.0.0.1:0", true
		s, err := suppression.New(c, platform.Shared{Kafka: cfg, Hasher: other, Log: zap.NewNop(), Registry: prometheus.NewRegistry(), StateDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			select {
			case <-s.Ready():
				cancel()
			case <-ctx.Done():
			}
		}()
		if err := s.Run(ctx); !errors.Is(err, ledger.ErrPepper) {
			t.Errorf("it ends with %v, want %v", err, ledger.ErrPepper)
		}
	})
}

func TestService_SaysHowFarAFillIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		shortTopic(t, broker.Config)
		whole := start(t, options{broker: broker}).snapshot("")
		address := newAddress()
		listener, err := broker.Network.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		slow := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(whole[:len(whole)/2])      // it is read, or the test fails below
			_ = http.NewResponseController(w).Flush() // as above
			<-r.Context().Done()
		})}
		go func() { _ = slow.Serve(listener) }() // ends when it is closed
		t.Cleanup(func() { _ = slow.Close() })
		s, _ := build(t, options{broker: broker, change: fromSnapshot("http://" + address)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		servicetest.Eventually(t, "it listens", func() bool { return s.Addr() != "" })
		said, client := regexp.MustCompile(`still being read: [1-9]\d* of at most 3002 records`), client(t, broker)
		servicetest.Eventually(t, "it says how far it is", func() bool {
			req, err := http.NewRequest(http.MethodGet, "http://"+s.Addr()+"/readyz", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			status, body := send(t, client, req)
			return status == http.StatusServiceUnavailable && said.MatchString(body)
		})
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v after a stop", err)
		}
	})
}
