package suppression_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

var listTopic = schemas.SuppressionsTopic(schemas.DefaultTopicPrefix)

// latest returns the last state of every address in the topic.
func latest(tb testing.TB, cfg kafka.Config) map[string]schemas.Suppression {
	tb.Helper()
	out := map[string]schemas.Suppression{}
	for _, rec := range kafkatest.ReadAll(tb, cfg, listTopic) {
		var s schemas.Suppression
		if err := json.Unmarshal(rec.Value, &s); err != nil {
			tb.Fatal(err)
		}
		out[string(rec.Key)] = s
	}
	return out
}

// stateRecord is what another replica would have published.
func stateRecord(tb testing.TB, addr string, entries ...schemas.SuppressionEntry) *kgo.Record {
	tb.Helper()
	s := schemas.Suppression{Hash: hasher(tb).Hash(addr), Address: addr, Entries: entries, UpdatedAt: at(9)}
	b, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	return &kgo.Record{Topic: listTopic, Key: []byte(s.Hash), Value: b}
}

func manual(scope string, n int) schemas.SuppressionEntry {
	return schemas.SuppressionEntry{Scope: scope, Reason: schemas.SuppressManual, AddedAt: at(n), Since: at(n), Evidence: "api:other"}
}

// TestService_AnswerSurvivesARestart is not in virtual time, which wants every goroutine
// ended: Pebble leaves one behind when it does not open a damaged store.
func TestService_AnswerSurvivesARestart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
	}{
		{"with its store", func(*testing.T, string) {}},
		{"without its store", func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}},
		{"with a damaged store", func(t *testing.T, dir string) {
			files, err := filepath.Glob(filepath.Join(dir, "suppressions.pebble", "MANIFEST-*"))
			if err != nil || len(files) == 0 {
				t.Fatal("no manifest", err)
			}
			if err := os.WriteFile(files[0], []byte("rubbish"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			broker, dir := kafkatest.StartBroker(t), t.TempDir()
			cfg := broker.Config
			r := start(t, options{broker: broker, dir: dir})
			publish(t, cfg, event(t, schemas.Bounced, "gone@example.com", 1, hard))
			r.wantCheck("gone@example.com", "marketing", "hard_bounce")
			r.call("PUT", "/v1/suppressions", object{"address": "by-hand@example.com"}, nil)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, dir)
			publish(t, cfg, event(t, schemas.Complained, "meanwhile@example.com", 1))

			r = start(t, options{broker: broker, dir: dir})
			for addr, want := range map[string]string{"gone@example.com": "hard_bounce", "by-hand@example.com": "manual"} {
				if got := r.check(addr, "transactional"); got != want {
					t.Errorf("%s after the restart: %q, want %q", addr, got, want)
				}
			}
			r.wantCheck("meanwhile@example.com", "marketing", "complaint")
		})
	}
}

func TestService_RepeatAfterALostCommitChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		refuse := true
		var mu sync.Mutex
		commits := 0
		broker.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
			broker.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			if commits++; !refuse {
				return nil, nil, false
			}
			resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
			for _, rt := range req.(*kmsg.OffsetCommitRequest).Topics {
				st := kmsg.NewOffsetCommitResponseTopic()
				st.Topic, st.TopicID = rt.Topic, rt.TopicID
				for _, rp := range rt.Partitions {
					sp := kmsg.NewOffsetCommitResponseTopicPartition()
					sp.Partition, sp.ErrorCode = rp.Partition, kerr.RebalanceInProgress.Code
					st.Partitions = append(st.Partitions, sp)
				}
				resp.Topics = append(resp.Topics, st)
			}
			return resp, nil, true
		})
		cfg := broker.Config
		r := start(t, options{broker: broker})
		publish(t, cfg, event(t, schemas.Bounced, "a@example.com", 1, hard), event(t, schemas.Unsubscribed, "a@example.com", 2, onList("1")))
		r.wantCheck("a@example.com", "transactional", "hard_bounce")
		servicetest.Eventually(t, "both are settled", func() bool { return r.settled() == 2 })
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		before := len(kafkatest.ReadAll(t, cfg, listTopic))
		mu.Lock()
		if commits == 0 {
			t.Error("no commit was refused: the test proves nothing")
		}
		refuse = false
		mu.Unlock()

		r = start(t, options{broker: broker})
		servicetest.Eventually(t, "both are read again", func() bool { return r.settled() == 2 })
		if after := len(kafkatest.ReadAll(t, cfg, listTopic)); after != before {
			t.Errorf("%d records, %d before the repeat", after, before)
		}
		if got := r.metric("mailstream_suppression_events_total", map[string]string{"outcome": "unchanged"}); got != 2 {
			t.Errorf("%v unchanged events, want 2", got)
		}
	})
}

func TestService_RepairsWhatAnotherReplicaOverwrote(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		r := start(t, options{broker: broker})
		// Two replicas that do not know of each other's write.
		kafkatest.Produce(t, cfg, stateRecord(t, "a@example.com", manual("list:1", 1)), stateRecord(t, "a@example.com", manual("list:2", 2)))
		hash := hasher(t).Hash("a@example.com")
		servicetest.Eventually(t, "the last record has both", func() bool { return len(latest(t, cfg)[hash].Entries) == 2 })
		servicetest.Eventually(t, "nothing is behind any more", func() bool {
			return r.metric("mailstream_suppression_repaired_states_total", nil) == 1 && r.metric("mailstream_suppression_behind_addresses", nil) == 0
		})
		if n := len(kafkatest.ReadAll(t, cfg, listTopic)); n != 3 {
			t.Errorf("%d records, want the two and one repair", n)
		}
	})
}

func TestService_ConcurrentReplicasConverge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		replicas := []*replica{start(t, options{broker: broker}), start(t, options{broker: broker})}
		const addresses, rounds = 5, 6
		var wg sync.WaitGroup
		for i, r := range replicas {
			for a := range addresses {
				wg.Go(func() {
					for n := range rounds {
						body := object{"address": fmt.Sprintf("a%d@example.com", a), "list": fmt.Sprintf("%d-%d", i, n)}
						if status := r.call("PUT", "/v1/suppressions", body, nil); status != 200 {
							t.Errorf("put = %d", status)
						}
					}
				})
			}
		}
		wg.Wait()
		want := len(replicas) * rounds
		servicetest.Eventually(t, "the last record of every address has every write", func() bool {
			states := latest(t, cfg)
			for a := range addresses {
				if len(states[hasher(t).Hash(fmt.Sprintf("a%d@example.com", a))].Entries) != want {
					return false
				}
			}
			return true
		})
		for i, r := range replicas {
			for a := range addresses {
				var got struct {
					Suppressed []struct {
						Entries []struct{} `json:"entries"`
					} `json:"suppressed"`
				}
				r.call("POST", "/v1/suppressions/check", object{"addresses": []string{fmt.Sprintf("a%d@example.com", a)}, "stream": "x", "explain": true}, &got)
				if len(got.Suppressed) != 1 || len(got.Suppressed[0].Entries) != want {
					t.Errorf("replica %d, address %d: %+v, want %d entries", i, a, got, want)
				}
			}
		}
		// A replica that starts from nothing but the topic agrees.
		fresh := start(t, options{broker: broker})
		if got := fresh.metric("mailstream_suppression_known_addresses", nil); got != addresses {
			t.Errorf("a fresh replica knows %v addresses, want %d", got, addresses)
		}
	})
}

func TestService_PartitionsOfADeadReplicaAreTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		a, b := start(t, options{broker: broker}), start(t, options{broker: broker})
		for i := range 20 {
			publish(t, cfg, event(t, schemas.Complained, fmt.Sprintf("u%d@example.com", i), 1))
		}
		for i := range 20 {
			b.wantCheck(fmt.Sprintf("u%d@example.com", i), "marketing", "complaint")
		}
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			publish(t, cfg, event(t, schemas.Complained, fmt.Sprintf("v%d@example.com", i), 1))
		}
		for i := range 20 {
			b.wantCheck(fmt.Sprintf("v%d@example.com", i), "marketing", "complaint")
		}
	})
}

func TestService_TopicMadeAnewIsReadAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker, dir := kafkatest.StartVirtual(t), t.TempDir()
		cfg := broker.Config
		r := start(t, options{broker: broker, dir: dir})
		var w written
		r.call("PUT", "/v1/suppressions", object{"address": "old@example.com"}, &w)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		cl := kafkatest.Client(t, cfg)
		adm := kadm.NewClient(cl)
		if _, err := adm.DeleteTopic(t.Context(), listTopic); err != nil {
			t.Fatal(err)
		}
		if err := admin.Apply(t.Context(), cl, cfg, kafkatest.Logger(t)); err != nil {
			t.Fatal(err)
		}
		r = start(t, options{broker: broker, dir: dir})
		if got := r.check("old@example.com", "marketing"); got != "" {
			t.Errorf("the new topic says nothing of it, the replica says %q", got)
		}
		var got checked
		if status := r.call("POST", "/v1/suppressions/check", object{"addresses": []string{"old@example.com"}, "min_token": w.Token}, &got); status != 400 || got.Title != "bad token" {
			t.Errorf("token of the old topic = %d %q, want 400", status, got.Title)
		}
	})
}

func TestService_TopicShorterThanTheStoreLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker, dir := kafkatest.StartVirtual(t), t.TempDir()
		cfg := broker.Config
		r := start(t, options{broker: broker, dir: dir})
		var w written
		r.call("PUT", "/v1/suppressions", object{"address": "kept@example.com"}, &w)
		servicetest.Eventually(t, "the store has its position", func() bool {
			return r.call("POST", "/v1/suppressions/check", object{"addresses": []string{}, "min_token": w.Token}, nil) == 200
		})
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		forgetTail(t, dir)
		r = start(t, options{broker: broker, dir: dir})
		if got := r.check("kept@example.com", "marketing"); got != "manual" {
			t.Errorf("after the topic lost its end: %q, want manual", got)
		}
		publish(t, cfg, event(t, schemas.Complained, "later@example.com", 1))
		r.wantCheck("later@example.com", "marketing", "complaint")
	})
}

func TestService_UnusableEventsAreDeadLettered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		r := start(t, options{broker: broker})
		noTime := event(t, schemas.Complained, "a@example.com", 1, func(e *schemas.Event) { e.Time, e.ReceivedAt = time.Time{}, time.Time{} })
		badHash := event(t, schemas.Complained, "a@example.com", 1, func(e *schemas.Event) { e.RecipientHash = "nonsense" })
		kafkatest.Produce(t, cfg,
			&kgo.Record{Topic: "email.complained", Key: []byte("k"), Value: []byte(`{"id":`)},
			record(noTime), record(badHash),
			record(event(t, schemas.Complained, "good@example.com", 1)),
		)
		r.wantCheck("good@example.com", "marketing", "complaint")
		servicetest.Eventually(t, "all four are settled", func() bool { return r.settled() == 4 })
		var origins, services []string
		for _, rec := range kafkatest.ReadAll(t, cfg, schemas.DeadLetterTopic(schemas.DefaultTopicPrefix)) {
			var d schemas.DeadLetter
			if err := json.Unmarshal(rec.Value, &d); err != nil {
				t.Fatal(err)
			}
			origins = append(origins, strings.Split(d.Origin, "/")[0])
			services = append(services, d.Service+" "+d.Reason)
			if len(d.Bytes) == 0 || d.ID == "" || strings.Contains(d.Detail, "example.com") {
				t.Errorf("dead letter %+v", d)
			}
		}
		if diff := cmp.Diff([]string{"email.complained", "email.complained", "email.complained"}, origins); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"suppression undecodable", "suppression undecodable", "suppression undecodable"}, services); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
	})
}

func TestService_ForeignRecordsInTheTopicArePassedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		kafkatest.Produce(t, cfg,
			&kgo.Record{Topic: listTopic, Key: []byte("not a hash"), Value: []byte(`{}`)},
			&kgo.Record{Topic: listTopic, Key: []byte(hasher(t).Hash("a@example.com")), Value: []byte(`[1,2]`)},
			stateRecord(t, "b@example.com", manual("account", 1)),
		)
		r := start(t, options{broker: broker})
		if got := r.check("b@example.com", "marketing"); got != "manual" {
			t.Errorf("b is %q, want manual", got)
		}
		if got := r.metric("mailstream_suppression_unreadable_records_total", nil); got != 2 {
			t.Errorf("%v unreadable records, want 2", got)
		}
	})
}

func TestService_PurgeForgetsAnAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		r := start(t, options{broker: broker})
		r.call("PUT", "/v1/suppressions", object{"address": "a@example.com"}, nil)
		kafkatest.Produce(t, cfg, &kgo.Record{Topic: listTopic, Key: []byte(hasher(t).Hash("a@example.com"))})
		r.wantCheck("a@example.com", "marketing", "")
	})
}

func TestService_AnotherPepperIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		for i := range 10 {
			rec := stateRecord(t, fmt.Sprintf("a%d@example.com", i), manual("account", 1))
			rec.Key = []byte(fmt.Sprintf("%032x", i))
			rec.Value = []byte(strings.Replace(string(rec.Value), hasher(t).Hash(fmt.Sprintf("a%d@example.com", i)), string(rec.Key), 1))
			kafkatest.Produce(t, cfg, rec)
		}
		s, _ := build(t, options{broker: broker})
		ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
		defer cancel()
		if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), "another pepper") {
			t.Errorf("Run = %v, want a fault about the pepper", err)
		}
	})
}

func TestService_OneProcessAStateFolder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker, dir := kafkatest.StartVirtual(t), t.TempDir()
		start(t, options{broker: broker, dir: dir})
		s, _ := build(t, options{broker: broker, dir: dir})
		ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
		defer cancel()
		err := s.Run(ctx)
		if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("second Run = %v, want that the folder is in use", err)
		}
	})
}
