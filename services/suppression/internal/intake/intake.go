// Package intake turns events into changes of the list: it reads the topics the
// rules are about as one consumer group, applies the rules in order, and has the
// ledger make the changes durable before the events count as read.
//
// Every record it reads ends as exactly one outcome: changed, unchanged,
// ignored or dead-lettered. Events may come twice or out of order; the list
// does not care. It keeps no state.
package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/deadletter"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/outage"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// Writer makes edits durable, in order: package ledger.
type Writer interface {
	Write(ctx context.Context, edits []ledger.Edit) ([]ledger.Result, error)
}

// Publisher makes records durable: when Publish returns nil, all in-sync
// replicas have them. Kept by produce.Producer.
type Publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// Erasures know who has to be forgotten: package erasure.
type Erasures interface {
	// Fault says why that is not known at present.
	Fault() error
	// Of returns the erasure of the person with that hash.
	Of(hash string) (schemas.Erasure, bool)
}

// Options say what an intake works with.
type Options struct {
	Rules     list.Rules
	Writer    Writer
	Publisher Publisher
	// DeadLetters is the topic of records that could not be used.
	DeadLetters string
	// Delivered is the topic whose records are counted, by mailbox provider.
	Delivered string
	// Healing are the topics of events that only end what bounces made.
	Healing []string
	// Known reports whether anything may be known of a person, from memory.
	Known func(store.Key) bool
	// OutageRate and OutageProbation say from which share of bounces on a mailbox
	// provider is doubted, and for how long its bounces list then.
	OutageRate      float64
	OutageProbation time.Duration
	// Erased says who has to be forgotten.
	Erased Erasures
	// Hash gives the recipient hash of a canonical address.
	Hash func(canonical string) string
	// Former gives the hash that a mailbox with two domains had before, "" for
	// most; nil for none.
	Former  func(canonical string) string
	Metrics *Metrics
	Log     *zap.Logger
}

// Intake handles batches of event records.
type Intake struct {
	opt    Options
	reader schemas.Reader // of Handle

	mu     sync.Mutex
	owned  map[int32]bool       // guarded by mu
	watch  *outage.Watch        // guarded by mu
	heals  heals                // guarded by mu
	logged map[string]time.Time // when the outage of a mailbox provider began that is in the log, guarded by mu
}

// New returns an intake with opt.
func New(opt Options) *Intake {
	opt.Log = telemetry.Throttled(opt.Log, telemetry.ByTopic, telemetry.ByReason, telemetry.ByName) // lines a record
	in := &Intake{opt: opt, owned: map[int32]bool{}, watch: outage.New(opt.OutageRate), logged: map[string]time.Time{}}
	opt.Metrics.outages = in.outages
	return in
}

// work is one record that a rule is about.
type work struct {
	rec   *kgo.Record
	event schemas.Event
	rule  list.Rule
	doubt bool // in an outage of its mailbox provider
	edit  ledger.Edit
	// address is canonical, "" where it is not known.
	address string
	erased  Erasures
	seen    func() list.Heals // when the person was reached last
}

// apply makes of the event what it means for the state. It is called while
// nothing else changes that person, so whoever is forgotten meanwhile stays so.
func (w *work) apply(cur schemas.Suppression) schemas.Suppression {
	next := w.rule.Apply
	if w.doubt {
		next = func(cur schemas.Suppression, e *schemas.Event) schemas.Suppression {
			return w.rule.Doubt(cur, e, outageNote)
		}
	}
	seen := w.seen()
	if w.rule.Do == list.Count && seen.Ended(&w.event) {
		return seen.Apply(cur)
	}
	state := seen.Apply(next(cur, &w.event))
	if list.Same(cur, state) {
		return cur
	}
	if e, ok := w.erased.Of(cur.Hash); ok && e.Covers(w.event.Time, w.event.ReceivedAt) {
		return list.Forget(state, e.ErasedAt) // the reason counts for ever, the address does not come back
	}
	state.Address = max(state.Address, w.address)
	return state
}

// Handle applies recs and returns once their effect is durable. Its error has
// the fate of the failed operation.
func (in *Intake) Handle(ctx context.Context, recs []*kgo.Record) error {
	if err := in.opt.Erased.Fault(); err != nil {
		return err
	}
	var todo []work
	var dead []*kgo.Record
	ignored := 0
	for _, rec := range recs {
		if rec.Topic == in.opt.Delivered {
			in.taken(rec)
		}
		w, err := in.read(rec)
		switch {
		case err != nil:
			dead = append(dead, in.deadLetter(rec, reasonUndecodable, err))
		case w == nil:
			ignored++
		default:
			todo = append(todo, *w)
		}
	}
	refused, err := in.write(ctx, todo)
	if err != nil {
		return err
	}
	dead = append(dead, refused...)
	if err := in.doubtAgain(ctx); err != nil {
		return err
	}
	if err := in.opt.Publisher.Publish(ctx, dead...); err != nil {
		return fmt.Errorf("publish %d dead letters: %w", len(dead), err)
	}
	in.opt.Metrics.finished(outcomeIgnored, ignored)
	in.opt.Metrics.finished(outcomeDeadLettered, len(dead))
	return nil
}

// Claim notes partitions as this member's, or not any more.
func (in *Intake) Claim(partitions []int32, mine bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, p := range partitions {
		in.owned[p] = mine
	}
}

// Owns reports whether partition is this member's.
func (in *Intake) Owns(partition int32) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.owned[partition]
}

// Reasons of dead letters.
const (
	reasonUndecodable = "undecodable"
	reasonTooLarge    = "suppression_too_large"
)

// errNoTime says that an event has neither its own time nor that of receipt,
// so nothing can be said about its order.
var errNoTime = errors.New("event has no time")

// read returns nil when no rule is about the record.
func (in *Intake) read(rec *kgo.Record) (*work, error) {
	if slices.Contains(in.opt.Healing, rec.Topic) {
		return in.heal(rec), nil
	}
	event, err := schemas.Decode(rec.Value)
	if err != nil {
		return nil, err
	}
	rule, ok := in.opt.Rules.Match(&event)
	if event.Type == schemas.Bounced && !(ok && rule.Proof == list.Certain) {
		in.refused(&event, readAt(rec))
	}
	if !ok || (event.RecipientHash == "" && event.Recipient == "") {
		return nil, nil
	}
	if event.Time.IsZero() && event.ReceivedAt.IsZero() {
		return nil, errNoTime
	}
	if rule.Do == list.End { // on a topic of another type
		return in.heal(rec), nil
	}
	w := &work{rec: rec, event: event, rule: rule}
	in.judge(w)
	if w.edit, err = in.edit(w); err != nil {
		return nil, err
	}
	return w, nil
}

func (in *Intake) edit(w *work) (ledger.Edit, error) {
	canonical, err := address.Canonical(w.event.Recipient)
	if err != nil {
		canonical = "" // the hash is what counts
	}
	hash := w.event.RecipientHash
	if hash == "" {
		if canonical == "" {
			return ledger.Edit{}, fmt.Errorf("read recipient: %w", err)
		}
		hash = in.opt.Hash(canonical)
	}
	if want := in.opt.Hash(canonical); canonical != "" && want != hash {
		if in.opt.Former != nil && in.opt.Former(canonical) == hash { // of before both domains had one
			hash = want
		} else {
			in.opt.Metrics.strange.Inc()
		}
	}
	key, err := store.ParseKey(hash)
	if err != nil {
		return ledger.Edit{}, fmt.Errorf("read recipient hash: %w", err)
	}
	w.address, w.erased = canonical, in.opt.Erased
	w.seen = func() list.Heals { return in.seen(key) }
	return ledger.Edit{Key: key, Apply: w.apply}, nil
}

// write makes the changes durable. Records that the topic finally refuses are
// returned as dead letters.
func (in *Intake) write(ctx context.Context, todo []work) (refused []*kgo.Record, err error) {
	if len(todo) == 0 {
		return nil, nil
	}
	edits := make([]ledger.Edit, len(todo))
	for i, w := range todo {
		edits[i] = w.edit
	}
	results, err := in.opt.Writer.Write(ctx, edits)
	if err == nil {
		in.count(todo, results)
		return nil, nil
	}
	if fate.Of(err) != fate.DeadLetter {
		return nil, err
	}
	if len(todo) == 1 {
		return []*kgo.Record{in.deadLetter(todo[0].rec, reasonTooLarge, err)}, nil
	}
	for i := range todo { // one of them is too large: find it
		one, err := in.write(ctx, todo[i:i+1])
		if err != nil {
			return nil, err
		}
		refused = append(refused, one...)
	}
	return refused, nil
}

func (in *Intake) count(todo []work, results []ledger.Result) {
	for i, r := range results {
		if !r.Changed {
			in.opt.Metrics.finished(outcomeUnchanged, 1)
			continue
		}
		in.opt.Metrics.finished(outcomeChanged, 1)
		in.opt.Metrics.changed(todo[i].rule)
	}
}

// deadLetter returns the record of rec for the dead-letter topic, with its
// bytes. The same record always gives the same one.
func (in *Intake) deadLetter(rec *kgo.Record, reason string, cause error) *kgo.Record {
	dead := deadletter.Record(in.opt.DeadLetters, deadletter.OfRecord(rec, "suppression\x00", schemas.DeadLetter{
		Time: list.Stamp(time.Now()), Service: "suppression", Reason: reason, Detail: cause.Error(), ReceivedAt: list.Stamp(rec.Timestamp),
	}), deadletter.OriginOf(rec))
	in.opt.Log.Warn("event was dead-lettered", telemetry.Topic(rec.Topic), telemetry.Partition(rec.Partition),
		telemetry.Offset(rec.Offset), telemetry.Reason(reason), telemetry.Err(cause))
	return &dead
}
