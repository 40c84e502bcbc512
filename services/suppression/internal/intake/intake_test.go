package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/suppression/internal/intake"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// topic acknowledges everything but records over its limit, like a broker.
type topic struct {
	bytesMax int
	fault    error
	recs     []*kgo.Record
	dies     func() (before, after bool) // the process, with a record that is not there yet, or is; nil for never
}

// errKilled is what a process that was killed would have seen.
var errKilled = errors.New("killed")

func (l *topic) Publish(_ context.Context, recs ...*kgo.Record) error {
	for _, r := range recs {
		if l.fault != nil {
			return l.fault
		}
		if r.Topic != "email.dead-letter" && len(r.Value) > l.bytesMax {
			return fate.Wrap(fate.DeadLetter, errors.New("record is too large"))
		}
		before, after := false, false
		if l.dies != nil {
			before, after = l.dies()
		}
		if before {
			return errKilled
		}
		r.Offset = int64(len(l.recs))
		if l.recs = append(l.recs, r); after {
			return errKilled
		}
	}
	return nil
}

// erased are people who have to be forgotten, by hash.
type erased map[string]schemas.Erasure

func (e erased) Fault() error {
	if len(e) == 1 && e[""].Reason != "" {
		return errors.New(e[""].Reason)
	}
	return nil
}

func (e erased) Of(hash string) (schemas.Erasure, bool) {
	found, ok := e[hash]
	return found, ok
}

type fixture struct {
	*intake.Intake
	book  *ledger.Ledger
	topic *topic
	store *store.Memory
	reg   *prometheus.Registry
}

const (
	goodHash   = "00112233445566778899aabbccddeeff"
	formerHash = "ffeeddccbbaa99887766554433221100"
)

// ladder lists for 14 days after two full mailboxes on two days.
var ladder = list.Ladder{
	Thresholds: map[schemas.Reason]list.Threshold{schemas.MailboxFull: {Messages: 2, Days: 2}},
	Within:     336 * time.Hour, Steps: []time.Duration{336 * time.Hour, 720 * time.Hour},
}

func newFixture(change ...func(*intake.Options)) fixture {
	f := fixture{topic: &topic{bytesMax: 1000}, store: store.NewMemory(ladder.Settle), reg: prometheus.NewRegistry()}
	f.book = ledger.New(ledger.Options{
		Topic: "email.suppressions", Hash: func(string) string { return goodHash }, Partitions: 1, Store: f.store, Settle: ladder.Settle, Publisher: f.topic,
		Metrics: ledger.NewMetrics(prometheus.NewRegistry()), Log: zap.NewNop(),
	})
	opt := intake.Options{
		Rules: list.DefaultRules(list.Probations{Likely: 168 * time.Hour, SecondStrikeAfter: 24 * time.Hour, Provider: 90 * 24 * time.Hour}, ladder), Writer: f.book, Publisher: f.topic, DeadLetters: "email.dead-letter",
		Delivered: "email.delivered", Healing: []string{"email.delivered", "email.opened", "email.clicked"}, Known: f.store.Known,
		OutageRate: 0.1, OutageProbation: 168 * time.Hour,
		Erased: erased{},
		Hash:   func(string) string { return goodHash },
		Former: func(canonical string) string {
			if canonical == "ana@googlemail.com" {
				return formerHash
			}
			return ""
		},
		Metrics: intake.NewMetrics(f.reg), Log: zap.NewNop(),
	}
	for _, c := range change {
		c(&opt)
	}
	f.Intake = intake.New(opt)
	return f
}

// roomy takes records of any length.
func roomy(o *intake.Options) { o.Publisher.(*topic).bytesMax = 1 << 20 }

// record is a complaint of the n-th person.
func record(n int, change func(*schemas.Event)) *kgo.Record {
	e := schemas.Event{
		ID: fmt.Sprint("e", n), Type: schemas.Complained, Time: time.UnixMilli(1767348000000 + int64(n)),
		Recipient: "a@example.com", RecipientHash: fmt.Sprintf("%032x", n),
	}
	if change != nil {
		change(&e)
	}
	return &kgo.Record{Topic: "email.complained", Offset: int64(n), Value: schemas.AppendJSON(nil, &e)}
}

func TestHandle_EveryRecordHasOneOutcome(t *testing.T) {
	t.Parallel()
	f := newFixture()
	recs := []*kgo.Record{
		record(1, nil), record(1, nil),
		record(2, func(e *schemas.Event) { e.Type = schemas.Delivered }),
		record(3, func(e *schemas.Event) { e.Recipient, e.RecipientHash = "", "" }),
		record(4, func(e *schemas.Event) { e.Source = strings.Repeat("x", 900) }), // its state is too large
		record(5, func(e *schemas.Event) { e.RecipientHash = "" }),
		record(6, func(e *schemas.Event) { e.RecipientHash, e.Recipient = "", "nobody" }),
		{Topic: "email.complained", Offset: 7, Value: []byte("rubbish")},
	}
	if err := f.Handle(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP mailstream_suppression_events_total Event records by outcome; repeats count as unchanged. Page when dead_lettered grows.
# TYPE mailstream_suppression_events_total counter
mailstream_suppression_events_total{outcome="changed"} 2
mailstream_suppression_events_total{outcome="dead_lettered"} 3
mailstream_suppression_events_total{outcome="ignored"} 2
mailstream_suppression_events_total{outcome="unchanged"} 1
`
	if err := testutil.GatherAndCompare(f.reg, strings.NewReader(want), "mailstream_suppression_events_total"); err != nil {
		t.Error(err)
	}
	var reasons []string
	for _, r := range f.topic.recs {
		var d schemas.DeadLetter
		if r.Topic == "email.dead-letter" && json.Unmarshal(r.Value, &d) == nil {
			reasons = append(reasons, d.Origin+" "+d.Reason)
		}
	}
	wantReasons := []string{"email.complained/0/6 undecodable", "email.complained/0/7 undecodable", "email.complained/0/4 suppression_too_large"}
	if diff := cmp.Diff(wantReasons, reasons); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
}

func TestHandle_EventsOfBeforeAnErasureBringNoAddressBack(t *testing.T) {
	t.Parallel()
	until := time.UnixMilli(1767348000000 + 100)
	people := erased{}
	for n := range 3 {
		hash := fmt.Sprintf("%032x", n)
		people[hash] = schemas.Erasure{Hash: hash, ErasedAt: until}
	}
	f := newFixture(func(o *intake.Options) { o.Erased = people })
	late := until.Add(time.Minute)
	for n, tt := range []struct {
		time, received time.Time
		address        string
	}{
		{until, late, ""},             // it happened before
		{late, until, ""},             // the provider's clock is ahead
		{late, late, "a@example.com"}, // a new relation
	} {
		rec := record(n, func(e *schemas.Event) { e.Time, e.ReceivedAt = tt.time, tt.received })
		if err := f.Handle(t.Context(), []*kgo.Record{rec}); err != nil {
			t.Fatal(err)
		}
		key, err := store.ParseKey(fmt.Sprintf("%032x", n))
		if err != nil {
			t.Fatal(err)
		}
		if state, _, err := f.store.Get(key); err != nil || state.Address != tt.address || len(state.Entries) != 1 {
			t.Errorf("case %d: address %q with %d entries (%v), want %q with 1", n, state.Address, len(state.Entries), err, tt.address)
		}
	}
}

func TestHandle_WritesNothingWhileErasuresAreUnknown(t *testing.T) {
	t.Parallel()
	f := newFixture(func(o *intake.Options) { o.Erased = erased{"": {Reason: "not read"}} })
	if err := f.Handle(t.Context(), []*kgo.Record{record(1, nil)}); err == nil || fate.Of(err) != fate.Retry || f.store.Len() != 0 {
		t.Errorf("Handle = %v with %d addresses, want a fault to retry and none", err, f.store.Len())
	}
}

// The detail is what a person finds in the dead letter. It is that of encoding/json
// without what it quotes.
func TestHandle_DeadLetterSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ value, want string }{
		{``, "decode event: unexpected end of JSON input"},
		{`rubbish`, "decode event: invalid character 'r' looking for beginning of value"},
		{`{"id":"1"`, "decode event: unexpected end of JSON input"},
		{`[]`, `decode event: wrong JSON type: field "" at byte 1 wants schemas.Event`},
		{`{"id":5}`, `decode event: wrong JSON type: field "id" at byte 7 wants string`},
		{`{"smtp_code":5.5}`, `decode event: wrong JSON type: field "smtp_code" at byte 16 wants int`},
		{`{"time":"yesterday"}`, "decode event: a time is not RFC 3339"},
		{`{"type":"complained","recipient":"a@example.com"}`, "event has no time"},
		{`{"TYPE":"complained","recipient":"a@example.com"}`, "event has no time"}, // a key in another case is read
	} {
		f := newFixture()
		if err := f.Handle(t.Context(), []*kgo.Record{{Topic: "email.complained", Value: []byte(tt.value)}}); err != nil {
			t.Fatal(err)
		}
		var d schemas.DeadLetter
		if len(f.topic.recs) != 1 || json.Unmarshal(f.topic.recs[0].Value, &d) != nil || d.Detail != tt.want || string(d.Bytes) != tt.value {
			t.Errorf("%s: %d records, detail %q, want %q", tt.value, len(f.topic.recs), d.Detail, tt.want)
		}
	}
}

func TestHandle_FaultOfTheBrokerKeepsTheBatch(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.topic.fault = errors.New("no broker")
	for name, rec := range map[string]*kgo.Record{"change": record(1, nil), "dead letter": {Topic: "email.complained", Value: []byte("rubbish")}} {
		if err := f.Handle(t.Context(), []*kgo.Record{rec}); fate.Of(err) != fate.Retry || err == nil {
			t.Errorf("%s: %v, want a fault to retry", name, err)
		}
	}
	if f.store.Len() != 0 {
		t.Error("a change that was not acknowledged is in force")
	}
	f.topic.fault = nil
	if err := f.Handle(t.Context(), []*kgo.Record{record(1, nil)}); err != nil || f.store.Len() != 1 {
		t.Errorf("the repeat: %v with %d addresses", err, f.store.Len())
	}
}

func TestHandle_CountsHashesOfAnotherPepper(t *testing.T) {
	t.Parallel()
	f := newFixture()
	if err := f.Handle(t.Context(), []*kgo.Record{record(1, nil), record(2, func(e *schemas.Event) { e.RecipientHash = goodHash })}); err != nil {
		t.Fatal(err)
	}
	const want = 1.0
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "mailstream_suppression_strange_hashes_total" && family.GetMetric()[0].GetCounter().GetValue() != want {
			t.Errorf("%v strange hashes, want %v", family.GetMetric()[0].GetCounter().GetValue(), want)
		}
	}
}

func TestOwns_FollowsTheClaims(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.Claim([]int32{1, 2}, true)
	f.Claim([]int32{2}, false)
	if f.Owns(0) || !f.Owns(1) || f.Owns(2) {
		t.Errorf("owns 0: %v, 1: %v, 2: %v", f.Owns(0), f.Owns(1), f.Owns(2))
	}
}

// TestHandle_EventsOfAFormerHashGoToThePerson reads an event of before both
// domains of a mailbox had one hash.
func TestHandle_EventsOfAFormerHashGoToThePerson(t *testing.T) {
	t.Parallel()
	f := newFixture()
	rec := record(1, func(e *schemas.Event) { e.Recipient, e.RecipientHash = "Ana@googlemail.com", formerHash })
	if err := f.Handle(t.Context(), []*kgo.Record{rec}); err != nil {
		t.Fatal(err)
	}
	if len(f.topic.recs) != 1 || string(f.topic.recs[0].Key) != goodHash {
		t.Errorf("records: %v", f.topic.recs)
	}
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "mailstream_suppression_strange_hashes_total" && family.GetMetric()[0].GetCounter().GetValue() != 0 {
			t.Error("the former hash is counted as another pepper's")
		}
	}
}
