package analyticstest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/subject"
)

// A dead letter that Kafka has and ClickHouse not yet is forgotten, too: of who was never
// forgotten, and of who was, and has nothing else that is new.
func TestForget_FindsDeadLettersOnTheirWay(t *testing.T) {
	t.Parallel()
	w, hash := forgetWorld(t)
	_, stop := w.analytics(t)
	w.settle(t, hash, 2)
	w.forget(t, subject.Forget{Addresses: []string{resident(0)}})
	stop()

	letter := func(key, id, address string) {
		t.Helper()
		w.produce(t, &kgo.Record{Topic: "email.dead-letter", Key: []byte(key), Value: mustJSON(t, schemas.DeadLetter{
			ID: id, Time: time.Now().UTC(), Service: "ingress", Reason: "undecodable", Bytes: []byte("email=" + address),
		})})
	}
	for n := range 2 {
		letter(fmt.Sprint(n), fmt.Sprintf("late-%d", n), resident(n))
	}
	done, err := pipeline.Forget(t.Context(), w.cfg, subject.Forget{Addresses: []string{resident(0), resident(1)}, Wait: time.Millisecond}, logger(t))
	if !errors.Is(err, subject.ErrUnfinished) || done.Request == "" || done.Before != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	_, stop = w.analytics(t)
	defer stop()
	for n := range 2 { // in the same partitions, so they are stored later
		letter(fmt.Sprint(n), fmt.Sprintf("another-%d", n), resident(5))
	}
	servicetest.Eventually(t, "the letters after them", func() bool {
		return w.sql(t, "SELECT count() FROM dead_letters WHERE id LIKE 'another-%'") == "2"
	})
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE id NOT LIKE 'another-%'", "0")
}

// Of two requests for one person at the same moment the later one counts, and the first ends
// with what it did.
func TestForget_EndsWithTheRequestThatCameLater(t *testing.T) {
	t.Parallel()
	w, hash := forgetWorld(t)
	_, stop := w.analytics(t)
	w.settle(t, hash, 1)
	stop()
	type outcome struct {
		done subject.Forgotten
		err  error
	}
	ended := make(chan outcome, 1)
	go func() {
		done, err := pipeline.Forget(t.Context(), w.cfg, subject.Forget{Addresses: []string{resident(0)}, Wait: servicetest.Patience}, logger(t))
		ended <- outcome{done, err}
	}()
	w.erasureOf(t, hash(resident(0)))
	at := time.Now().UTC().Add(time.Second).Truncate(time.Millisecond)
	w.produce(t, &kgo.Record{Topic: "email.erasures", Key: []byte(hash(resident(0))), Value: mustJSON(t, schemas.Erasure{Hash: hash(resident(0)), ErasedAt: at, Request: "the-other"})})
	_, stop = w.analytics(t)
	defer stop()
	if got := <-ended; got.err != nil || got.done.Request != "the-other" || got.done.ErasedAt == nil {
		t.Errorf("%+v, %v", got.done, got.err)
	}
}

// erasureOf waits until Kafka has an erasure of the person.
func (w *world) erasureOf(t *testing.T, hash string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers), kgo.ConsumeTopics("email.erasures"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	servicetest.Eventually(t, "the erasure", func() bool {
		found := false
		client.PollRecords(t.Context(), 100).EachRecord(func(r *kgo.Record) { found = found || string(r.Key) == hash })
		return found
	})
}
