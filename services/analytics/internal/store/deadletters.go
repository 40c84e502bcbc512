package store

import (
	_ "embed"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/deadletter"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/insert/dead_letter_log.sql
var insertDeadLettersSQL string

// Service is who gives up, in the dead letters this package makes.
const Service = "analytics"

// deadLetters is a block of dead_letter_log.
type deadLetters struct {
	states                            *letterStates
	erased                            Erased
	id, detail, origin, bytes         *text
	time, receivedAt                  *moments
	service, reason, provider, source *words
	cols                              []clickhouse.Column
}

func newDeadLetters(erased Erased) *deadLetters {
	d := &deadLetters{
		states: newLetterStates(),
		erased: erased,
		id:     new(text), detail: new(text), origin: new(text), bytes: new(text),
		time: new(moments), receivedAt: newMaybeMoments(),
		service: newWords(), reason: newWords(), provider: newWords(), source: newWords(),
	}
	d.cols = []clickhouse.Column{
		{Name: "id", Data: d.id}, {Name: "time", Data: d.time}, {Name: "service", Data: d.service}, {Name: "reason", Data: d.reason},
		{Name: "detail", Data: d.detail}, {Name: "provider", Data: d.provider}, {Name: "source", Data: d.source},
		{Name: "origin", Data: d.origin}, {Name: "bytes", Data: d.bytes}, {Name: "received_at", Data: d.receivedAt},
	}
	return d
}

func (d *deadLetters) statement() string            { return insertDeadLettersSQL }
func (d *deadLetters) columns() []clickhouse.Column { return d.cols }

// append adds the dead letter of rec. One that is itself unreadable becomes a
// row that says so: another dead letter about it would start a loop.
func (d *deadLetters) append(rec *kgo.Record) error {
	var dl schemas.DeadLetter
	err := decode(rec.Value, &dl)
	if err == nil && dl.ID == "" {
		err = faultf(MissingField, "%q", "id")
	}
	if err == nil {
		err = inRange("time or received_at", dl.Time, dl.ReceivedAt)
	}
	if fault, bad := errors.AsType[*Fault](err); bad {
		dl = DeadLetter(rec, fault, rec.Timestamp)
	}
	switch {
	case d.erased.HasLetter(dl.ID): // counted as ignored
	case dl.State != "":
		d.states.add(&dl, rec)
	default:
		d.add(&dl)
	}
	return nil
}

func (d *deadLetters) add(dl *schemas.DeadLetter) {
	d.id.Append([]byte(dl.ID))
	d.time.AppendTime(dl.Time)
	d.service.Append([]byte(dl.Service))
	d.reason.Append([]byte(dl.Reason))
	d.detail.Append([]byte(dl.Detail))
	d.provider.Append([]byte(dl.Provider))
	d.source.Append([]byte(dl.Source))
	d.origin.Append([]byte(dl.Origin))
	d.bytes.Append(dl.Bytes)
	d.receivedAt.AppendTime(dl.ReceivedAt)
}

// DeadLetter says of rec that it was given up at time now because of f. Its ID
// is the same however often the record is read.
func DeadLetter(rec *kgo.Record, f *Fault, now time.Time) schemas.DeadLetter {
	return deadletter.OfRecord(rec, "", schemas.DeadLetter{Time: now, Service: Service, Reason: string(f.Reason), Detail: f.Detail})
}
