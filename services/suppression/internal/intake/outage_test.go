package intake_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/intake"
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
		t.Fatal("the fault of the broker was not reported")
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

// storm has Google take one message and refuse 300 people from at on.
func (f fixture) storm(t *testing.T, first int, at time.Time) {
	t.Helper()
	recs := []*kgo.Record{delivery(first, "google", at)}
	for i := range 200 {
		recs = append(recs, delivery(first+i, "yahoo", at))
	}
	for i := range 300 {
		recs = append(recs, refusal(first+i, at))
	}
	if err := f.Handle(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
}

func TestHandle_AHintInAnOutageIsNoStrike(t *testing.T) {
	t.Parallel()
	f := newFixture()
	now := time.Now().UTC().Truncate(time.Millisecond)
	hint := func(at time.Time) *kgo.Record {
		rec := refusal(1, at)
		rec.Value = bytes.Replace(rec.Value, []byte(`"certain"`), []byte(`"likely"`), 1)
		rec.Value = bytes.Replace(rec.Value, []byte(`"id":"e1"`), []byte(`"id":"hint`+at.String()+`"`), 1)
		return rec
	}
	for i, rec := range []*kgo.Record{hint(now.Add(-48 * time.Hour)), nil, hint(now)} {
		if rec == nil {
			f.storm(t, 100, now)
			continue
		}
		if err := f.Handle(t.Context(), []*kgo.Record{rec}); err != nil {
			t.Fatal(err)
		}
		if e := f.entry(t, 1); e.ExpiresAt.IsZero() || !list.Active(e, now.Add(time.Minute)) {
			t.Errorf("after hint %d listed till %s", i, e.ExpiresAt)
		}
	}
	if e := f.entry(t, 1); e.Note == "" {
		t.Error("the entry does not say that an outage made it")
	}
}

func TestHandle_EachOutageIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		f := newFixture(func(o *intake.Options) { o.Log = zap.New(core) })
		for i := range 2 { // two outages, and nobody who reads the metrics
			for j := range 3 {
				f.storm(t, 10_000*i+1000*j, time.Now())
				time.Sleep(time.Minute)
			}
			time.Sleep(time.Hour)
		}
		if n := logs.FilterMessageSnippet("bounces far more than usual").Len(); n != 2 {
			t.Errorf("two outages are reported %d times", n)
		}
	})
}

func TestHandle_AClockThatIsAheadBlindsNobody(t *testing.T) {
	t.Parallel()
	f := newFixture()
	now := time.Now().UTC().Truncate(time.Millisecond)
	if err := f.Handle(t.Context(), []*kgo.Record{delivery(1, "google", now.AddDate(1, 0, 0)), delivery(2, "yahoo", now.AddDate(1, 0, 0))}); err != nil {
		t.Fatal(err)
	}
	f.storm(t, 100, now)
	if e := f.entry(t, 100); e.ExpiresAt.IsZero() {
		t.Error("after one record from next year an outage is believed")
	}
}

func TestHandle_AnAddressThatIsTooLargeHoldsUpNobody(t *testing.T) {
	t.Parallel()
	f := newFixture()
	now := time.Now().UTC().Truncate(time.Millisecond)
	large := refusal(1, now)
	// Its record just fits as long as there is no note in it.
	large.Value = bytes.Replace(large.Value, []byte(`"source":"acme"`), []byte(`"source":"`+strings.Repeat("x", 630)+`"`), 1)
	if err := f.Handle(t.Context(), []*kgo.Record{large}); err != nil {
		t.Fatal(err)
	}
	if e := f.entry(t, 1); e.AddedAt.IsZero() {
		t.Fatal("the address does not even fit without a note")
	}
	f.storm(t, 100, now)
	if e := f.entry(t, 1); !e.ExpiresAt.IsZero() {
		t.Fatal("the address fits with a note, too")
	}
	if e := f.entry(t, 100); e.ExpiresAt.IsZero() {
		t.Error("the others of the outage are listed for ever")
	}
}
