package intake

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// outageNote is the note of entries that an outage put on probation.
const outageNote = "outage: its mailbox provider refused far more than usual"

// writeMax bounds the edits of one write, as a batch does.
const writeMax = 500

// mailboxProviderKey starts the field of an event's record that says who runs the
// mailbox. It precedes every part with text of the sender.
var mailboxProviderKey = []byte(`"mailbox_provider":"`)

// taken counts a delivery. The record is not decoded: most mail is delivered, and
// one word of it is all that is needed.
func (in *Intake) taken(rec *kgo.Record) {
	name := ""
	if _, rest, ok := bytes.Cut(rec.Value, mailboxProviderKey); ok {
		if word, _, ok := bytes.Cut(rest, []byte{'"'}); ok {
			name = string(word)
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.watch.Taken(name, readAt(rec))
}

// readAt is the time of a record by its producer's clock, unless that runs ahead
// of ours: one stamp from next year would leave the counts there.
func readAt(rec *kgo.Record) time.Time {
	if now := time.Now(); rec.Timestamp.After(now) {
		return now
	}
	return rec.Timestamp
}

// refused counts a bounce that says nothing certain of the address.
func (in *Intake) refused(e *schemas.Event, at time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.watch.Taken(e.MailboxProvider, at)
}

// judge counts a bounce that is certain, and has every bounce doubted in an
// outage.
func (in *Intake) judge(w *work) {
	if w.rule.Proof == list.NoProof || in.opt.OutageRate >= 1 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	name, at := w.event.MailboxProvider, readAt(w.rec)
	if w.rule.Proof == list.Certain {
		w.doubt = in.watch.Bounced(&w.event, at, time.Now())
	} else {
		w.doubt = in.watch.Doubted(name, at)
	}
	if w.doubt {
		w.rule.Probation = in.opt.OutageProbation
		in.opt.Metrics.doubted.Inc()
		in.logOutage(name)
	}
}

// logOutage logs an outage once.
func (in *Intake) logOutage(name string) {
	if began := in.watch.Began(name); !in.logged[name].Equal(began) {
		in.logged[name] = began
		in.opt.Log.Warn("mailbox provider bounces far more than usual, new bounces are put on probation", telemetry.Name(name))
	}
}

// doubtAgain puts those on probation that were listed before their outage was
// seen.
func (in *Intake) doubtAgain(ctx context.Context) error {
	in.mu.Lock()
	due := in.watch.Due()
	in.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	var edits []ledger.Edit
	for i := range due {
		w := &work{event: due[i], doubt: true}
		w.rule, _ = in.opt.Rules.Match(certainly(due[i]))
		w.rule.Probation = in.opt.OutageProbation
		var err error
		if w.edit, err = in.edit(w); err == nil { // it was made an edit before
			edits = append(edits, w.edit)
		}
	}
	for n := writeMax; len(edits) > 0; {
		n = min(n, len(edits))
		_, err := in.opt.Writer.Write(ctx, edits[:n])
		switch {
		case err == nil:
		case fate.Of(err) != fate.DeadLetter:
			return fmt.Errorf("put %d bounces of an outage on probation: %w", len(edits), err)
		case n > 1: // one of them is too large: find it
			n = 1
			continue
		default:
			in.opt.Log.Warn("bounce of an outage cannot be put on probation and lists for ever", telemetry.Reason(reasonTooLarge), telemetry.Err(err))
		}
		edits = edits[n:]
	}
	in.opt.Metrics.doubted.Add(float64(len(due)))
	in.mu.Lock()
	defer in.mu.Unlock()
	in.watch.Done(len(due))
	return nil
}

// certainly returns e as the rule for what is certain wants it.
func certainly(e schemas.Event) *schemas.Event {
	yes := true
	e.BounceType, e.Permanent, e.Confidence = schemas.Hard, &yes, schemas.Certain
	return &e
}

// outages returns the mailbox providers that are doubted now.
func (in *Intake) outages() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.watch.Active(time.Now())
}
