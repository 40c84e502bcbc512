package intake

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// healsMax bounds the people in one half of the memory of heals, at some 200 bytes: 50 MB
// in all. At a thousand deliveries a second it reaches two to four minutes back, which is
// how far a bounce may be read behind a delivery that came after it.
const healsMax = 1 << 17

// heals remembers who was reached last, of people of whom the list knows nothing: nothing
// is written for them. A bounce that is read later and happened before finds it here. When
// one half is full, the older one is forgotten.
type heals struct{ young, old map[store.Key]list.Heals }

func (h *heals) note(k store.Key, seen list.Heals) list.Heals {
	seen = seen.Merge(h.of(k))
	if len(h.young) >= healsMax || h.young == nil {
		h.young, h.old = map[store.Key]list.Heals{}, h.young
	}
	h.young[k] = seen
	return seen
}

func (h *heals) of(k store.Key) list.Heals { return h.young[k].Merge(h.old[k]) }

// heal notes what a record of a delivery, open or click says, and returns the edit
// where something may be known of the person.
func (in *Intake) heal(rec *kgo.Record) *work {
	if in.reader.Read(rec.Value) != nil {
		return nil // analytics gives it up as a dead letter; nothing is lost here
	}
	v := &in.reader.EventView
	seen, ok := list.HealOf(&schemas.Event{
		ID: string(v.ID), Type: schemas.Type(v.Type), Time: timeOf(v.Time), ReceivedAt: timeOf(v.ReceivedAt), Machine: v.Machine.Pointer(),
	})
	key, err := store.ParseKey(string(v.RecipientHash))
	if !ok || err != nil || seen.Any.At.IsZero() {
		return nil
	}
	in.mu.Lock()
	seen = in.heals.note(key, seen)
	in.mu.Unlock()
	if !in.opt.Known(key) {
		return nil
	}
	return &work{rec: rec, rule: list.Rule{Do: list.End}, edit: ledger.Edit{Key: key, Apply: seen.Apply}}
}

// seen returns what is remembered of k.
func (in *Intake) seen(k store.Key) list.Heals {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.heals.of(k)
}

// timeOf reads a time; it is zero for what is not a time.
func timeOf(text []byte) time.Time {
	at, err := schemas.ParseTime(text)
	if err != nil {
		return time.Time{}
	}
	return at
}
