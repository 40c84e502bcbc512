package deadletters

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
)

// fakeLog is Kafka: what is published is read by all books at once.
type fakeLog struct {
	t      *testing.T
	books  []*Book
	last   map[string]schemas.Operation // what is left of the topic after compaction
	before func(topic string)           // called before a record is taken, nil for none
}

func (l *fakeLog) Publish(ctx context.Context, recs ...*kgo.Record) error {
	for _, rec := range recs {
		if l.before != nil {
			l.before(rec.Topic)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if rec.Topic != schemas.OperationsTopic("email") {
			continue
		}
		var op schemas.Operation
		if err := json.Unmarshal(rec.Value, &op); err != nil {
			l.t.Errorf("record of an operation: %v", err)
		}
		l.last[op.ID] = op
		for _, b := range l.books {
			b.apply([]*kgo.Record{rec})
		}
	}
	return nil
}

// desk returns one that shares the log with those made before.
func (l *fakeLog) desk() *Desk {
	b := book()
	b.topic, b.to = schemas.OperationsTopic("email"), l
	l.books = append(l.books, b)
	return NewDesk(Parts{Book: b, Kafka: l, Trail: audit.New("email", l, zap.NewNop()), Prefix: "email", Log: zap.NewNop()})
}

func newLog(t *testing.T) *fakeLog { return &fakeLog{t: t, last: map[string]schemas.Operation{}} }

var discardAll = Request{Kind: schemas.OperationDiscard, All: true, Rate: 1, By: "ana", Role: audit.RoleAPI, Note: "a test"}

func TestDesk_BeginsBehindTheAuditThoughWhoAskedWentAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newLog(t)
		d := l.desk()
		asked := time.Now().UTC()
		l.before = func(topic string) {
			if topic == schemas.AuditTopic("email") {
				time.Sleep(2 * time.Second)
			} else {
				cancel()
			}
		}
		op, err := d.begin(ctx, discardAll, 1)
		if err != nil || l.last[op.ID].State != schemas.OperationRunning {
			t.Fatalf("%+v, %v", op, err)
		}
		if !op.StartedAt.Equal(asked.Add(2 * time.Second)) {
			t.Errorf("it began at %s, asked at %s, the audit took two seconds", op.StartedAt, asked)
		}
		select {
		case given := <-d.work:
			if given.ID != op.ID {
				t.Errorf("given to Run: %+v", given)
			}
		default:
			t.Error("it is in the topic, and no process does it")
		}
	})
}

func TestDesk_OneOfTwoThatBeginAtOnceGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		early, late := l.desk(), l.desk()
		var second schemas.Operation
		var err error
		l.before = func(topic string) { // the record of the early one takes seconds, meanwhile the other one begins
			if topic != schemas.AuditTopic("email") {
				l.before = nil
				time.Sleep(2 * time.Second)
				second, err = late.begin(t.Context(), discardAll, 1)
			}
		}
		first, errFirst := early.begin(t.Context(), discardAll, 1)
		if errFirst != nil || err != nil || !first.StartedAt.Before(second.StartedAt) {
			t.Fatalf("%+v, %v; %+v, %v", first, errFirst, second, err)
		}
		if busy, ok := errors.AsType[*BusyError](late.interrupted(t.Context(), second.ID)); !ok || busy.Operation.ID != first.ID {
			t.Errorf("the later one goes on beside %s", first.ID)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if why := early.interrupted(ctx, first.ID); !errors.Is(why, context.DeadlineExceeded) {
			t.Errorf("the earlier one ends: %v", why)
		}
		if third, err := early.begin(t.Context(), discardAll, 1); err == nil || l.last[third.ID].ID != "" {
			t.Errorf("a third one begins: %+v", third)
		}
		for id, op := range l.last {
			if id != first.ID && id != second.ID && op.State != schemas.OperationFailed {
				t.Errorf("the third one is left as %+v", op)
			}
		}
	})
}

func TestDesk_AWishToStopLeavesTheEndInTheTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newLog(t)
		d := l.desk()
		op, err := d.begin(ctx, discardAll, 1)
		if err != nil {
			t.Fatal(err)
		}
		l.before = func(topic string) { // it ends while the audit is written, and who asked goes away
			l.before = nil
			ended := op
			ended.State, ended.Letters = schemas.OperationDone, 7
			if err := d.write(t.Context(), ended); err != nil {
				t.Error(err)
			}
			if topic == schemas.AuditTopic("email") {
				l.before = func(string) { cancel() }
			}
		}
		got, err := d.Stop(ctx, op.ID, audit.Entry{By: "bob", Role: audit.RoleAPI})
		if err != nil || got.State != schemas.OperationDone || got.StopBy != "bob" {
			t.Errorf("stopped: %+v, %v", got, err)
		}
		if kept := l.last[op.ID]; kept.State != schemas.OperationDone || kept.Letters != 7 || kept.StopBy != "bob" {
			t.Errorf("after compaction it is %+v", kept)
		}
	})
}
