package deadletters

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/deadletter"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/reparse"
)

// RateMax is the most dead letters a second.
const RateMax = 500

// ingress is the service whose dead letters are items of webhooks; those of all
// others are records.
const ingress = "ingress"

// Publisher stores records: nil means that all of them are acknowledged.
type Publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// Erased knows who has to be forgotten.
type Erased interface {
	// Covers reports whether an event of that person, which happened and was received
	// at these Unix milliseconds, has to be forgotten.
	Covers(hash []byte, at, received int64) bool
	// HasLetter reports whether the dead letter of that id has to be forgotten.
	HasLetter(id string) bool
	// Fault says why a person may come back through what is published now.
	Fault() error
}

// Result is what an operation did, or would do.
type Result struct {
	Operation string                  `json:"operation"`
	DryRun    bool                    `json:"dry_run"`
	Letters   int64                   `json:"letters"` // looked at
	Passed    int64                   `json:"passed"`  // redriven or discarded
	Events    int64                   `json:"events"`  // of those redriven
	Failed    int64                   `json:"failed"`  // stay open
	Faults    map[reparse.Fault]int64 `json:"faults"`  // Failed by why
	// Cut says that a plan has not looked at all of them.
	Cut bool `json:"cut,omitempty"`
}

// Source makes events of dead letters, but not of those who have to be forgotten.
type Source struct {
	Maker  *reparse.Maker
	Erased Erased
}

// Options are how an operation works.
type Options struct {
	Operation string
	Kafka     Publisher // nil for a dry run
	Prefix    string    // of the topics
	Rate      int       // dead letters a second, at most
	Most      int64     // that a dry run looks at; 0 for all
	Progress  func(Result)
}

// Redrive makes events of the open dead letters of f and publishes them, marked as a
// replay, then says of each that it is redriven. What fails, or is of a person who has to
// be forgotten, stays open; while erased does not know, nothing is published.
func (l *Letters) Redrive(ctx context.Context, f Filter, from Source, opt Options) (Result, error) {
	return l.operate(ctx, f, opt, func(letter *Letter, r *Result) ([]*kgo.Record, error) {
		if err := from.Erased.Fault(); err != nil {
			return nil, fmt.Errorf("redrive: %w", err)
		}
		events, err := eventsOf(letter, from.Maker)
		if err != nil {
			return nil, err
		}
		if from.Erased.HasLetter(letter.ID) {
			return nil, reparse.Erased
		}
		var recs []*kgo.Record
		for i := range events {
			if e := &events[i]; from.Erased.Covers([]byte(e.RecipientHash), e.Time.UnixMilli(), e.ReceivedAt.UnixMilli()) {
				return nil, reparse.Erased
			}
			recs = append(recs, reparse.Record(reparse.Topic(opt.Prefix, events[i].Type), &events[i], opt.Operation))
		}
		r.Events += int64(len(recs))
		return append(recs, state(letter, schemas.DeadLetterRedriven, "", opt)), nil
	})
}

// Discard says of the open dead letters of f that they are of no use, and why.
func (l *Letters) Discard(ctx context.Context, f Filter, note string, opt Options) (Result, error) {
	var faults config.Problems
	ValidateNote(note, &faults)
	if err := faults.Err(); err != nil {
		return Result{}, err
	}
	return l.operate(ctx, f, opt, func(letter *Letter, _ *Result) ([]*kgo.Record, error) {
		return []*kgo.Record{state(letter, schemas.DeadLetterDiscarded, note, opt)}, nil
	})
}

// ValidateNote reports what is wrong with a note to p.
func ValidateNote(note string, p *config.Problems) {
	p.Check(strings.TrimSpace(note) != "", "note", "is empty: say why they are of no use")
	p.Check(len(note) <= NoteBytesMax, "note", "has %d bytes, more than %d", len(note), NoteBytesMax)
	p.Check(!strings.Contains(note, "@") && address.Redact(note) == note, "note", "has an @: it is kept for longer than people may be, write the number of a ticket instead of an address")
}

// errEnough ends a dry run.
var errEnough = errors.New("a dry run has looked at as many as it may")

// operate takes each open dead letter through do and publishes what it returns; an error
// that is not a reparse.Fault ends the operation. It returns once ClickHouse shows it.
func (l *Letters) operate(ctx context.Context, f Filter, opt Options, do func(*Letter, *Result) ([]*kgo.Record, error)) (Result, error) {
	r := Result{Operation: opt.Operation, DryRun: opt.Kafka == nil, Faults: map[reparse.Fault]int64{}}
	began := time.Now()
	err := l.each(ctx, f, func(letters []Letter) error {
		for i := range letters {
			if r.DryRun && opt.Most > 0 && r.Letters >= opt.Most {
				return errEnough
			}
			r.Letters++
			recs, err := do(&letters[i], &r)
			fault, failed := errors.AsType[reparse.Fault](err)
			if err == nil {
				err = publishUnless(ctx, &letters[i], recs, opt)
			}
			switch {
			case failed:
				r.Failed++
				r.Faults[fault]++
			case err != nil:
				return err
			default:
				r.Passed++
			}
			if opt.Progress != nil {
				opt.Progress(r)
			}
			if r.DryRun {
				continue
			}
			due := began.Add(time.Duration(r.Letters) * time.Second / time.Duration(opt.Rate))
			if err := lifecycle.Sleep(ctx, time.Until(due)); err != nil {
				return err
			}
		}
		return nil
	})
	if r.Cut = errors.Is(err, errEnough); r.Cut {
		err = nil
	}
	if err == nil && !r.DryRun && r.Passed > 0 {
		err = l.settle(ctx, opt.Operation, r.Passed)
	}
	return r, err
}

// publishUnless publishes what closes letter, unless it is a dry run.
func publishUnless(ctx context.Context, letter *Letter, recs []*kgo.Record, opt Options) error {
	if opt.Kafka == nil {
		return nil
	}
	if err := publish(ctx, opt.Kafka, recs); err != nil {
		return fmt.Errorf("publish dead letter %s: %w", letter.ID, err)
	}
	return nil
}

// publish stores the events first: a dead letter that is closed has its events.
func publish(ctx context.Context, kafka Publisher, recs []*kgo.Record) error {
	last := len(recs) - 1
	if last > 0 {
		if err := kafka.Publish(ctx, recs[:last]...); err != nil {
			return err
		}
	}
	return kafka.Publish(ctx, recs[last])
}

// eventsOf makes the events of letter. The error is a reparse.Fault.
func eventsOf(letter *Letter, maker *reparse.Maker) ([]schemas.Event, error) {
	if letter.Service == ingress {
		d := schemas.DeadLetter{Reason: letter.Reason, Provider: letter.Provider, Source: letter.Source, Bytes: []byte(letter.Bytes)}
		if letter.ReceivedAt != nil {
			d.ReceivedAt = *letter.ReceivedAt
		}
		return maker.Letter(&d)
	}
	was, err := schemas.Decode([]byte(letter.Bytes))
	if err != nil || was.ID == "" {
		return nil, reparse.Unreadable
	}
	is, err := maker.Event(&was)
	if err != nil {
		return nil, err
	}
	return []schemas.Event{is}, nil
}

// state is the record that says what became of letter.
func state(letter *Letter, s schemas.DeadLetterState, note string, opt Options) *kgo.Record {
	rec := deadletter.Record(schemas.DeadLetterTopic(opt.Prefix), schemas.DeadLetter{
		ID: letter.ID, Time: time.Now(), Service: letter.Service, Reason: letter.Reason, Provider: letter.Provider, Source: letter.Source,
		Bytes: []byte{}, State: s, Operation: opt.Operation, Note: note,
	}, schemas.OriginReplay)
	return &rec
}
