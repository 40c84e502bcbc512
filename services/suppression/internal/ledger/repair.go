package ledger

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// repairEvery is how often keys that are behind are looked at.
	repairEvery = time.Second

	// repairAfter lets our own records arrive that we have applied before they
	// came back to us.
	repairAfter = 2 * time.Second

	// repairOrphansAfter is when any replica repairs a key whose partition has no
	// owner, at a random moment within twice that time.
	repairOrphansAfter = 30 * time.Second

	// repairKeysMax bounds the records of one round, so that a repair never
	// crowds out the writes of the day.
	repairKeysMax = 500

	// repairLookMax bounds the keys looked at in one round.
	repairLookMax = 10_000
)

// repairAgain spaces the repairs of one key that do not help.
var repairAgain = lifecycle.Backoff{Min: 5 * time.Second, Max: 5 * time.Minute}

// patient is a key that is behind.
type patient struct {
	found    time.Time
	orphaned time.Time // from when on any replica may repair it
	again    time.Time // not before the next attempt
	attempts int
}

// due says whether it is time to repair, for the owner or for any replica. Who
// owns a partition may change while a key waits.
func (p *patient) due(now time.Time, owner bool) bool {
	if now.Before(p.again) {
		return false
	}
	return !now.Before(p.orphaned) || owner && now.Sub(p.found) >= repairAfter
}

// Repair republishes, until ctx is done, the states of which the topic knows
// less than this replica: two replicas wrote one address at the same time and
// the later record lacks what the earlier one had. Only the replica that owns a
// partition does it, so one lost update gets one repair; if the partition has no
// owner, any replica may. A repair is a merge, so it overwrites no other
// replica's change and cannot loop: each round leaves the topic with strictly
// more.
func (l *Ledger) Repair(ctx context.Context, owns func(partition int32) bool) error {
	patients := map[store.Key]*patient{}
	for lifecycle.Sleep(ctx, repairEvery) == nil {
		l.repairRound(ctx, patients, owns)
	}
	return nil
}

func (l *Ledger) repairRound(ctx context.Context, patients map[store.Key]*patient, owns func(int32) bool) {
	behind := l.opt.Store.Behind(repairLookMax)
	l.opt.Metrics.behind.Set(float64(len(behind)))
	now := time.Now()
	present := make(map[store.Key]bool, len(behind))
	var edits []Edit
	for _, k := range behind {
		present[k] = true
		p := patients[k]
		if p == nil {
			p = &patient{found: now, orphaned: now.Add(repairOrphansAfter + rand.N(repairOrphansAfter))}
			patients[k] = p
		}
		if len(edits) == repairKeysMax || !p.due(now, owns(l.PartitionOf(k))) {
			continue
		}
		p.attempts++
		p.again = now.Add(repairAgain.Min + repairAgain.Next(p.attempts))
		edits = append(edits, Edit{Key: k})
	}
	for k := range patients {
		if !present[k] {
			delete(patients, k)
		}
	}
	if err := l.republish(ctx, edits); err != nil && ctx.Err() == nil {
		l.opt.Log.Warn("repair failed and will be retried", telemetry.Rows(len(edits)), telemetry.Err(err))
	}
}

// republish publishes the states of edits as they are.
func (l *Ledger) republish(ctx context.Context, edits []Edit) error {
	if len(edits) == 0 {
		return nil
	}
	unlock, err := l.lock(ctx, edits)
	if err != nil {
		return err
	}
	defer unlock()
	updates := make([]store.Update, 0, len(edits))
	for _, e := range edits {
		state, ok, err := l.opt.Store.Get(e.Key)
		if err != nil {
			return err
		}
		if ok {
			updates = append(updates, store.Update{Key: e.Key, State: state})
		}
	}
	if _, err := l.publish(ctx, updates); err != nil {
		return err
	}
	l.opt.Metrics.repairs.Add(float64(len(updates)))
	l.opt.Log.Info("overwritten states repaired", telemetry.Rows(len(updates)))
	return nil
}
