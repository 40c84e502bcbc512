package intake_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// refusal is a hard bounce of the n-th person of Google that is certain, with
// what else a sender's text may hold.
func refusal(n int, at time.Time) *kgo.Record {
	yes := true
	rec := record(n, func(e *schemas.Event) {
		e.Type, e.BounceType, e.Reason, e.Permanent, e.Confidence = schemas.Bounced, schemas.Hard, schemas.InvalidRecipient, &yes, schemas.Certain
		e.MailboxProvider, e.Time, e.ReceivedAt, e.Source = "google", at, at, "acme"
	})
	rec.Topic, rec.Timestamp = "email.bounced", at
	return rec
}

func delivery(n int, name string, at time.Time) *kgo.Record {
	rec := record(n, func(e *schemas.Event) {
		e.Type, e.MailboxProvider, e.Time, e.MessageID = schemas.Delivered, name, at, `"mailbox_provider":"nobody"`
	})
	rec.Topic, rec.Timestamp = "email.delivered", at
	return rec
}

func (f fixture) entry(t *testing.T, n int) schemas.SuppressionEntry {
	t.Helper()
	key, err := store.ParseKey(fmt.Sprintf("%032x", n))
	if err != nil {
		t.Fatal(err)
	}
	state, _, err := f.store.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	return list.Find(state, schemas.ScopeAccount, schemas.SuppressHardBounce)
}

func TestHandle_AnOutageListsNobodyForEver(t *testing.T) {
	t.Parallel()
	f := newFixture()
	now := time.Now().UTC().Truncate(time.Millisecond)
	var quiet, storm []*kgo.Record
	for i := range 200 {
		quiet = append(quiet, delivery(10_000+i, "google", now), delivery(20_000+i, "yahoo", now))
	}
	quiet = append(quiet, refusal(1, now.Add(-time.Hour))) // dead since before
	for i := range 300 {
		storm = append(storm, refusal(100+i, now.Add(time.Duration(i)*time.Millisecond)))
	}
	again := refusal(999, now.Add(time.Second))
	again.Value = bytes.Replace(again.Value, []byte(fmt.Sprintf("%032x", 999)), []byte(fmt.Sprintf("%032x", 1)), 1)
	storm = append(storm, again)
	if err := f.Handle(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	// Kafka fails in the middle: the batch comes again, and nothing counts twice.
	f.topic.fault = errors.New("no broker")
	if err := f.Handle(t.Context(), storm); err == nil {
		t.Fatal("the fault of the broker was not told")
	}
	f.topic.fault = nil
	for range 2 {
		if err := f.Handle(t.Context(), storm); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		e := f.entry(t, 100+i)
		if !list.Active(e, now.Add(time.Minute)) || e.ExpiresAt.IsZero() || e.ExpiresAt.Sub(e.AddedAt) != 168*time.Hour || e.Note == "" {
			t.Fatalf("person %d of the outage: %+v", i, e)
		}
	}
	if e := f.entry(t, 1); !e.ExpiresAt.IsZero() || !list.Active(e, now.Add(time.Minute)) {
		t.Errorf("who was dead before is listed till %s", e.ExpiresAt)
	}
	const want = `
# HELP mailstream_suppression_outage 1 for each mailbox provider that bounces far more than usual, so that its bounces are put on probation. Page when it is there: look at its replies, and lift what it listed.
# TYPE mailstream_suppression_outage gauge
mailstream_suppression_outage{mailbox_provider="google"} 1
`
	if err := testutil.GatherAndCompare(f.reg, strings.NewReader(want), "mailstream_suppression_outage"); err != nil {
		t.Error(err)
	}
}
