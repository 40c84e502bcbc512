package controls

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const (
	// keepEnded is how long what is over stays in the topic: silences after their
	// end, and all else of an incident after its end.
	keepEnded = 30 * 24 * time.Hour
	// endedMax bounds the incidents that are over and kept, the oldest going first:
	// about 5 KB each.
	endedMax = 10_000
)

// Set is every control there is. It is safe for concurrent use; what it returns
// must not be changed.
type Set struct {
	windows []maintenance
	holding holding

	mu       sync.RWMutex
	silences map[string]silence                      // by id; guarded by mu
	acks     map[string][]schemas.AlertAck           // by incident; guarded by mu
	notes    map[string]map[string]schemas.AlertNote // by incident, then id; guarded by mu
	ended    map[string]schemas.Alert                // by incident; guarded by mu
}

// silence is a silence ready for use.
type silence struct {
	schemas.AlertSilence
	matchers Matchers
}

// NewSet returns a Set of the windows, which are valid, and of nothing else yet.
func NewSet(windows []Window) *Set {
	s := &Set{
		silences: make(map[string]silence), acks: make(map[string][]schemas.AlertAck),
		notes: make(map[string]map[string]schemas.AlertNote), ended: make(map[string]schemas.Alert),
	}
	for _, w := range windows {
		var faults config.Problems
		if m := w.compile(&faults); faults.Err() == nil {
			s.windows = append(s.windows, m)
		}
	}
	return s
}

// Apply takes in records of the topic of controls in their order. It returns how
// many were unreadable; those are passed over.
func (s *Set) Apply(recs []*kgo.Record) (unreadable int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range recs {
		if len(rec.Value) == 0 {
			s.forget(string(rec.Key))
			continue
		}
		var c schemas.AlertControl
		if err := json.Unmarshal(rec.Value, &c); err != nil || c.Key() != string(rec.Key) || !s.take(c) {
			unreadable++
		}
	}
	return unreadable
}

// take keeps c; it returns false for a silence whose matchers this version cannot
// read. The caller holds mu.
func (s *Set) take(c schemas.AlertControl) bool {
	switch {
	case c.Silence != nil:
		var faults config.Problems
		m := Compile(c.Silence.Matchers, &faults)
		if faults.Err() != nil {
			return false
		}
		s.silences[c.Silence.ID] = silence{*c.Silence, m}
	case c.Note != nil:
		if s.notes[c.Note.Incident] == nil {
			s.notes[c.Note.Incident] = make(map[string]schemas.AlertNote)
		}
		s.notes[c.Note.Incident][c.Note.ID] = *c.Note
	case c.Ended != nil:
		s.ended[c.Ended.Incident] = *c.Ended
	default:
		s.acks[c.Acks[0].Incident] = c.Acks
	}
	return true
}

// forget drops what key names. The caller holds mu.
func (s *Set) forget(key string) {
	kind, id, _ := strings.Cut(key, "/")
	incident, note, _ := strings.Cut(id, "/")
	delete(s.notes[incident], note)
	if len(s.notes[incident]) == 0 {
		delete(s.notes, incident)
	}
	switch kind + "/" {
	case schemas.SilenceKey(""):
		delete(s.silences, id)
	case schemas.AckKey(""):
		delete(s.acks, id)
	case schemas.IncidentKey(""):
		delete(s.ended, id)
	}
}

// Hides returns what hides the messages of a at now, in order: ids of silences
// and names of maintenance windows.
func (s *Set) Hides(a *schemas.Alert, now time.Time) []string {
	var out []string
	for _, w := range s.holding.at(s.windows, now) {
		if w.matchers.Match(a) {
			out = append(out, maintenancePrefix+w.Name)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, q := range s.silences {
		if Holds(&q.AlertSilence, now) && q.matchers.Match(a) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// Holds says whether q is under way at now.
func Holds(q *schemas.AlertSilence, now time.Time) bool {
	return !now.Before(q.Since) && now.Before(q.Until)
}

// Silences returns all silences, the latest first.
func (s *Set) Silences() []schemas.AlertSilence {
	s.mu.RLock()
	out := make([]schemas.AlertSilence, 0, len(s.silences))
	for _, q := range s.silences {
		out = append(out, q.AlertSilence)
	}
	s.mu.RUnlock()
	slices.SortFunc(out, func(a, b schemas.AlertSilence) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Silence returns the silence called id.
func (s *Set) Silence(id string) (schemas.AlertSilence, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	q, ok := s.silences[id]
	return q.AlertSilence, ok
}

// Matching returns the silences that hid a, or would have, for a part of its
// incident, the earliest first.
func (s *Set) Matching(a *schemas.Alert) []schemas.AlertSilence {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []schemas.AlertSilence{}
	for _, q := range s.silences {
		over := !a.ResolvedAt.IsZero() && q.Since.After(a.ResolvedAt)
		if !over && q.Until.After(a.Since) && q.matchers.Match(a) {
			out = append(out, q.AlertSilence)
		}
	}
	slices.SortFunc(out, func(a, b schemas.AlertSilence) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Acks returns who acknowledged incident, the latest last.
func (s *Set) Acks(incident string) []schemas.AlertAck {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.acks[incident]
}

// Ack returns who takes care of incident, nil for nobody.
func (s *Set) Ack(incident string) *schemas.AlertAck {
	if acks := s.Acks(incident); len(acks) > 0 {
		return &acks[len(acks)-1]
	}
	return nil
}

// Notes returns the notes about incident, oldest first.
func (s *Set) Notes(incident string) []schemas.AlertNote {
	s.mu.RLock()
	out := make([]schemas.AlertNote, 0, len(s.notes[incident]))
	for _, n := range s.notes[incident] {
		out = append(out, n)
	}
	s.mu.RUnlock()
	slices.SortFunc(out, func(a, b schemas.AlertNote) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Ended returns the last record of an incident that is over.
func (s *Set) Ended(incident string) (schemas.Alert, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, ok := s.ended[incident]
	return a, ok
}

// EndedAll calls yield with every incident that is over, in no order.
func (s *Set) EndedAll(yield func(a *schemas.Alert)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range s.ended {
		yield(&a)
	}
}

// Outdated returns the keys of records that are no longer kept. known says whether
// the book still has an incident: what is said of it then stays.
func (s *Set) Outdated(now time.Time, known func(incident string) bool) []string {
	before := now.Add(-keepEnded)
	s.mu.RLock()
	defer s.mu.RUnlock()
	var keys []string
	for id, q := range s.silences {
		if q.Until.Before(before) {
			keys = append(keys, schemas.SilenceKey(id))
		}
	}
	kept := s.keptIncidents(before, &keys)
	gone := func(incident string, at time.Time) bool {
		return at.Before(before) && !kept[incident] && !known(incident)
	}
	for incident, acks := range s.acks {
		if gone(incident, acks[len(acks)-1].At) {
			keys = append(keys, schemas.AckKey(incident))
		}
	}
	for incident, notes := range s.notes {
		for id, n := range notes {
			if gone(incident, n.At) {
				keys = append(keys, schemas.NoteKey(incident, id))
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// keptIncidents returns the incidents that stay and adds the keys of the others.
// The caller holds mu.
func (s *Set) keptIncidents(before time.Time, keys *[]string) map[string]bool {
	list := make([]schemas.Alert, 0, len(s.ended))
	for _, a := range s.ended {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b schemas.Alert) int { return b.ResolvedAt.Compare(a.ResolvedAt) })
	kept := make(map[string]bool, len(list))
	for i, a := range list {
		if i >= endedMax || a.ResolvedAt.Before(before) {
			*keys = append(*keys, schemas.IncidentKey(a.Incident))
		} else {
			kept[a.Incident] = true
		}
	}
	return kept
}

// Record returns the record that stores c in topic.
func Record(topic string, c schemas.AlertControl) (*kgo.Record, error) {
	value, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode control %q: %w", c.Key(), err)
	}
	return &kgo.Record{Topic: topic, Key: []byte(c.Key()), Value: value}, nil
}

// Tombstone returns the record that makes everybody forget what key names.
func Tombstone(topic, key string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(key)}
}
