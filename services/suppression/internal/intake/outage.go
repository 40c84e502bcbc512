package intake

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// outageNote stands in entries that an outage put on probation.
const outageNote = "outage: its mailbox provider refused far more than usual"

// writeMax bounds the edits of one write, as a batch does.
const writeMax = 500

// mailboxProviderKey starts the field of an event's record that says who runs the
// mailbox. It comes before everything in which a sender's own text stands.
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
	in.watch.Taken(name, rec.Timestamp)
}

// refused counts a bounce that says nothing certain of the address.
func (in *Intake) refused(e *schemas.Event, at time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.watch.Taken(e.MailboxProvider, at)
}

// judge counts a bounce that is certain, and has it doubted in an outage.
func (in *Intake) judge(w *work) {
	if w.rule.Proof != list.Certain || in.opt.OutageRate >= 1 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if w.doubt = in.watch.Bounced(&w.event, w.rec.Timestamp, time.Now()); w.doubt {
		w.rule.Probation = in.opt.OutageProbation
		in.opt.Metrics.doubted.Inc()
		in.told(w.event.MailboxProvider)
	}
}

// told logs an outage once.
func (in *Intake) told(name string) {
	if !in.active[name] {
		in.active[name] = true
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
	for len(edits) > 0 {
		n := min(writeMax, len(edits))
		if _, err := in.opt.Writer.Write(ctx, edits[:n]); err != nil {
			return fmt.Errorf("put %d bounces of an outage on probation: %w", len(edits), err)
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

// outages returns the mailbox providers that are doubted now, and forgets to have
// told of those that are not any more.
func (in *Intake) outages() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	names := in.watch.Active(time.Now())
	clear(in.active)
	for _, name := range names {
		in.active[name] = true
	}
	return names
}
