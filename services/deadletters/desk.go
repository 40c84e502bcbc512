package deadletters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/reparse"
)

const (
	// RateDefault leaves Kafka and its readers to the live mail.
	RateDefault = 100
	// byBytesMax bounds a name.
	byBytesMax = 100
	// progressEvery spaces the records of a running operation; each is some 500 bytes.
	progressEvery = time.Second
	// lastWordTimeout bounds the last record of an operation whose process ends.
	lastWordTimeout = 3 * time.Second
)

// Request asks for an operation.
type Request struct {
	Kind   string // schemas.OperationRedrive or schemas.OperationDiscard
	Filter Filter
	All    bool   // needed where Filter says nothing
	Rate   int    // dead letters a second, at most
	By     string // who asks
	Role   string // of who asks, for the audit
	Note   string // why; needed to discard
}

// Validate reports every fault to p.
func (r Request) Validate(p *config.Problems) {
	r.Filter.Validate(p)
	p.Check(r.Filter.State == "" || r.Filter.State == StateOpen, "state", "%q is not open: only open dead letters can be redriven or discarded", r.Filter.State)
	p.Check(r.Rate >= 1 && r.Rate <= RateMax, "rate", "%d is not in [1, %d]", r.Rate, RateMax)
	p.Check(r.All || r.Filter.Narrow(), "all", "is needed to take all open dead letters; or say which, such as those of one source or reason")
	p.Check(!r.All || !r.Filter.Narrow(), "all", "cannot be combined with a choice of dead letters: leave out one of the two")
	p.Check(strings.TrimSpace(r.By) != "", "by", "is empty: say who asks for it")
	p.Check(len(r.By) <= byBytesMax && plainText(r.By), "by", "is longer than %d bytes, or has control characters", byBytesMax)
	p.Check(utf8.ValidString(r.Note), "note", "is not UTF-8")
	if r.Kind == schemas.OperationDiscard {
		ValidateNote(r.Note, p)
	} else {
		p.Check(len(r.Note) <= NoteBytesMax, "note", "has %d bytes, more than %d", len(r.Note), NoteBytesMax)
	}
}

func plainText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// BusyError says that another operation runs.
type BusyError struct{ Operation schemas.Operation }

// Error names the operation.
func (e *BusyError) Error() string {
	return fmt.Sprintf("operation %s of %s runs: wait for its end, or stop it; one whose process was killed counts as cut after %s", e.Operation.ID, e.Operation.By, cutAfter)
}

// ErrUnknown says that there is no operation of an id.
var ErrUnknown = errors.New("there is no operation of this id")

// ErrReading says that the operations are not known yet.
var ErrReading = errors.New("the operations are still being read")

// errStopped ends an operation that a person asked to stop.
var errStopped = errors.New("asked to stop")

// Desk starts operations on dead letters, does them one after the other, and stops
// them. Run works; the other methods are safe for concurrent use at any time.
type Desk struct {
	*Book
	Letters *Letters
	parts   Parts

	starting chan struct{}          // held by who starts one
	work     chan schemas.Operation // what Run has to do: one at most
}

// Parts are what a Desk is made of.
type Parts struct {
	Book    *Book
	Letters *Letters
	Maker   *reparse.Maker
	// Erased returns who has to be forgotten, for one operation, and what ends that.
	Erased func(context.Context) (erased Erased, stop func(), err error)
	Kafka  Publisher
	Trail  *audit.Trail
	Prefix string // of the topics
	Log    *zap.Logger
}

// NewDesk returns a desk that does nothing before Run.
func NewDesk(p Parts) *Desk {
	return &Desk{Book: p.Book, Letters: p.Letters, parts: p, starting: make(chan struct{}, 1), work: make(chan schemas.Operation, 1)}
}

// Run follows the operations of all processes and does those that Start takes here,
// until ctx is done. One that is under way then is cut.
func (d *Desk) Run(ctx context.Context) error {
	g, all := errgroup.WithContext(ctx)
	g.Go(func() error { return d.Book.Run(all) })
	g.Go(func() error {
		for {
			select {
			case <-all.Done():
				return nil
			case op := <-d.work:
				d.do(all, op)
			}
		}
	})
	return g.Wait()
}

// Plan says what a valid request would do to the first most dead letters. Of ids that
// leave nothing to do, the error is ErrNoLetter or ErrNotOpen.
func (d *Desk) Plan(ctx context.Context, r Request, most int64) (Result, error) {
	if len(r.Filter.IDs) > 0 {
		if _, err := d.find(ctx, r.Filter); err != nil {
			return Result{}, err
		}
	}
	return d.operate(ctx, r.Kind, r.Filter, r.Note, Options{Operation: "plan", Prefix: d.parts.Prefix, Rate: RateMax, Most: most})
}

// Start begins the work of a valid request and returns before it is done. It writes the
// audit first. A *BusyError says that another operation runs, of any process; ErrNoLetter
// and ErrNotOpen are of ids that leave nothing to do.
func (d *Desk) Start(ctx context.Context, r Request) (schemas.Operation, error) {
	select {
	case d.starting <- struct{}{}:
		defer func() { <-d.starting }()
	case <-ctx.Done():
		return schemas.Operation{}, context.Cause(ctx)
	}
	select {
	case <-d.CaughtUp():
	default:
		return schemas.Operation{}, ErrReading
	}
	if other, runs := d.running(); runs {
		return schemas.Operation{}, &BusyError{other}
	}
	r.Filter.State = StateOpen
	look, cancel := context.WithTimeout(ctx, readTimeMax)
	defer cancel()
	found, err := d.find(look, r.Filter)
	if err != nil {
		return schemas.Operation{}, err
	}
	return d.begin(ctx, r, found)
}

// find counts the open dead letters of f, whose ids must not be in vain.
func (d *Desk) find(ctx context.Context, f Filter) (found int64, err error) {
	f.State = StateOpen
	if found, err = d.Letters.Count(ctx, f); err != nil || len(f.IDs) == 0 {
		return found, err
	}
	return found, d.Letters.named(ctx, f.IDs, found)
}

// begin notes the operation in the audit, and then writes it and gives it to Run. From
// the note on it goes on when the caller goes away: an operation that is written and
// that no process does would keep all others out until it counts as cut.
func (d *Desk) begin(ctx context.Context, r Request, found int64) (schemas.Operation, error) {
	id := reparse.NewOperation(r.Kind, time.Now().UTC())
	if err := d.parts.Trail.Note(ctx, audit.Entry{By: r.By, Role: r.Role, Action: "dead_letters." + r.Kind, Object: id, Note: r.Note}); err != nil {
		return schemas.Operation{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeMax)
	defer cancel()
	now := time.Now().UTC().Truncate(time.Millisecond) // not before the note, which may take seconds: the earlier of two operations goes on
	op := schemas.Operation{
		ID: id, Kind: r.Kind, State: schemas.OperationRunning, Filter: schemas.DeadLetterFilter(r.Filter), Rate: r.Rate,
		By: address.Redact(r.By), Note: address.Redact(r.Note), StartedAt: now, UpdatedAt: now, Found: found,
	}
	if err := d.handOver(ctx, op); err != nil {
		op.State, op.Error = schemas.OperationFailed, "the operation did not begin"
		if _, busy := errors.AsType[*BusyError](err); busy {
			op.Error = "another operation runs"
		}
		d.end(ctx, op)
		return schemas.Operation{}, err
	}
	return op, nil
}

// handOver writes op, and gives it to Run unless another process began one before.
func (d *Desk) handOver(ctx context.Context, op schemas.Operation) error {
	if err := d.write(ctx, op); err != nil {
		return err
	}
	if err := d.await(ctx, op.ID, func(_ schemas.Operation, known bool) bool { return known }); err != nil {
		return err
	}
	if first, runs := d.running(); runs && first.ID != op.ID {
		return &BusyError{first}
	}
	d.forgetOld(ctx)
	select {
	case d.work <- op:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stop asks whoever does the operation to stop, and returns it as it is now. To ask
// a second time, or for one that has ended, changes nothing.
func (d *Desk) Stop(ctx context.Context, id string, who audit.Entry) (schemas.Operation, error) {
	op, ok := d.Get(id)
	if !ok {
		return op, ErrUnknown
	}
	if op.State != schemas.OperationRunning || op.StopBy != "" {
		return op, nil
	}
	who.Action, who.Object = "dead_letters.stop", id
	if err := d.parts.Trail.Note(ctx, who); err != nil {
		return op, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeMax)
	defer cancel()
	op.StopBy = address.Redact(who.By)
	if err := d.write(ctx, op); err != nil {
		return op, err
	}
	err := d.await(ctx, id, func(now schemas.Operation, _ bool) bool {
		op = now
		return now.StopBy != ""
	})
	if err == nil && op.State != schemas.OperationRunning {
		// It ended before the wish was written. The topic keeps the last record of an
		// operation, so that has to be its end.
		err = d.write(ctx, op)
	}
	op, _ = d.Get(id)
	return op, err
}

// Ended returns once the operation has ended, as far as its last record says.
func (d *Desk) Ended(ctx context.Context, id string) (schemas.Operation, error) {
	err := d.await(ctx, id, func(op schemas.Operation, known bool) bool { return known && op.State != schemas.OperationRunning })
	op, _ := d.Get(id)
	return op, err
}

// readingMax bounds the wait of a command for what is known of operations.
const readingMax = 30 * time.Second

// Perform does the work of a valid request in a process of its own, which has no Run,
// and returns at its end. progress is given how far it is once a second.
func (d *Desk) Perform(ctx context.Context, r Request, progress func(schemas.Operation)) (op schemas.Operation, err error) {
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	g, all := errgroup.WithContext(run)
	g.Go(func() error { return d.Run(all) })
	g.Go(func() error {
		defer cancel()
		select {
		case <-d.CaughtUp():
		case <-time.After(readingMax):
			return ErrReading
		case <-all.Done():
			return context.Cause(all)
		}
		if op, err = d.Start(all, r); err != nil {
			return err
		}
		for all.Err() == nil {
			tick, cancelTick := context.WithTimeout(all, progressEvery)
			op, err = d.Ended(tick, op.ID)
			if cancelTick(); err == nil {
				return nil
			}
			progress(op)
		}
		return context.Cause(all)
	})
	if failed := g.Wait(); failed != nil {
		err = failed
	}
	return op, err
}

// do does op to its end and writes how far it came.
func (d *Desk) do(ctx context.Context, op schemas.Operation) {
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var g sync.WaitGroup
	g.Go(func() { cancel(d.interrupted(work, op.ID)) })
	w := progress{desk: d, op: op}
	g.Go(func() { w.write(work) })
	result, err := d.operate(work, op.Kind, Filter(op.Filter), op.Note, Options{
		Operation: op.ID, Kafka: d.parts.Kafka, Prefix: d.parts.Prefix, Rate: op.Rate, Progress: w.set,
	})
	cause := context.Cause(work)
	cancel(nil)
	g.Wait()
	op = counted(op, result)
	now, _ := d.Get(op.ID)
	op.StopBy = now.StopBy // the topic keeps only the last record
	busy, givesWay := errors.AsType[*BusyError](cause)
	switch {
	case err == nil:
		op.State = schemas.OperationDone
	case errors.Is(cause, errStopped):
		op.State = schemas.OperationStopped
	case givesWay:
		op.State, op.Error = schemas.OperationCut, "it gave way to "+busy.Operation.ID+": start it once more for the rest"
	case ctx.Err() != nil:
		op.State, op.Error = schemas.OperationCut, "the process that did it was stopped: start it once more for the rest"
	default:
		op.State, op.Error = schemas.OperationFailed, "ClickHouse or Kafka did not answer: start it once more for the rest"
		d.parts.Log.Warn("operation on dead letters failed", telemetry.Name(op.ID), telemetry.Err(err))
	}
	d.end(ctx, op)
}

// interrupted returns why the operation of that id has to end before its work does, once
// there is a reason: a person asked for it, or another one runs that began before.
func (d *Desk) interrupted(ctx context.Context, id string) (why error) {
	err := d.await(ctx, id, func(op schemas.Operation, _ bool) bool {
		if op.StopBy != "" {
			why = errStopped
		} else if first, runs := d.running(); runs && first.ID != id {
			why = &BusyError{first}
		}
		return why != nil
	})
	return cmp.Or(err, why)
}

// end writes the last record of op, also where ctx is done. One that fails counts as cut
// after a minute.
func (d *Desk) end(ctx context.Context, op schemas.Operation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWordTimeout)
	defer cancel()
	if err := d.write(ctx, op); err != nil {
		d.parts.Log.Warn("end of an operation was not written", telemetry.Name(op.ID), telemetry.Err(err))
	}
}

// operate does the work of one kind.
func (d *Desk) operate(ctx context.Context, kind string, f Filter, note string, opt Options) (Result, error) {
	if kind == schemas.OperationDiscard {
		return d.Letters.Discard(ctx, f, note, opt)
	}
	erased, stop, err := d.parts.Erased(ctx)
	if err != nil {
		return Result{}, err
	}
	defer stop()
	return d.Letters.Redrive(ctx, f, Source{Maker: d.parts.Maker, Erased: erased}, opt)
}

// counted returns op with what r counts.
func counted(op schemas.Operation, r Result) schemas.Operation {
	op.UpdatedAt = time.Now().UTC().Truncate(time.Millisecond)
	op.Letters, op.Passed, op.Events, op.Failed = r.Letters, r.Passed, r.Events, r.Failed
	op.Faults = map[string]int64{}
	for fault, n := range r.Faults {
		op.Faults[string(fault)] = n
	}
	return op
}

// progress writes how far an operation is, beside the work.
type progress struct {
	desk *Desk
	mu   sync.Mutex
	op   schemas.Operation // guarded by mu
}

func (p *progress) set(r Result) {
	r.Faults = maps.Clone(r.Faults)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.op = counted(p.op, r)
}

// write writes the progress once it changed, and at least each beat, until ctx is done.
func (p *progress) write(ctx context.Context) {
	var last schemas.Operation
	for lifecycle.Sleep(ctx, progressEvery) == nil {
		p.mu.Lock()
		op := p.op
		p.mu.Unlock()
		now := time.Now().UTC()
		if op.Letters == last.Letters && now.Sub(last.UpdatedAt) < beat {
			continue
		}
		op.UpdatedAt = now.Truncate(time.Millisecond)
		if err := p.desk.Book.write(ctx, op); err != nil && ctx.Err() == nil {
			p.desk.parts.Log.Warn("progress of an operation was not written", telemetry.Name(op.ID), telemetry.Err(err))
		}
		last = op
	}
}
