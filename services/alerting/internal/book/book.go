// Package book knows every alert: it is built from the alerts topic by whoever
// tails it, so all instances agree, and it decides between writers. A record
// counts only if it raises the version of its alert; of two writers who built on
// the same version, the one whose record comes first in the log wins, everywhere.
//
// It changes nothing by itself and writes nothing.
package book

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

// Book is safe for concurrent use.
type Book struct {
	mu     sync.RWMutex
	alerts map[string]schemas.Alert // by fingerprint; values are never changed in place
	// contested are alerts whose last record in the log lost: a compacted topic
	// would keep just that one, so the winner's has to be written again.
	contested map[string]bool
}

// New returns an empty book.
func New() *Book {
	return &Book{alerts: make(map[string]schemas.Alert), contested: make(map[string]bool)}
}

// Apply takes in records of the alerts topic in their order. It returns how many
// were unreadable; those are passed over.
func (b *Book) Apply(recs []*kgo.Record) (unreadable int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rec := range recs {
		if len(rec.Value) == 0 {
			delete(b.alerts, string(rec.Key))
			delete(b.contested, string(rec.Key))
			continue
		}
		var a schemas.Alert
		if err := json.Unmarshal(rec.Value, &a); err != nil || a.Fingerprint != string(rec.Key) {
			unreadable++
			continue
		}
		have, known := b.alerts[a.Fingerprint]
		if known && a.Version <= have.Version {
			if a.Version < have.Version || a.Writer != have.Writer {
				b.contested[a.Fingerprint] = true
			}
			continue
		}
		b.alerts[a.Fingerprint] = a
		delete(b.contested, a.Fingerprint)
	}
	return unreadable
}

// Get returns an alert. The caller must not change what it points to.
func (b *Book) Get(fingerprint string) (schemas.Alert, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	a, ok := b.alerts[fingerprint]
	return a, ok
}

// Contested says whether the winning record has to be written again.
func (b *Book) Contested(fingerprint string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.contested[fingerprint]
}

// All returns the alerts that keep accepts, the latest incident first. The
// caller owns the slice and must not change what its values point to.
func (b *Book) All(keep func(*schemas.Alert) bool) []schemas.Alert {
	b.mu.RLock()
	out := make([]schemas.Alert, 0, len(b.alerts))
	for _, a := range b.alerts {
		if keep(&a) {
			out = append(out, a)
		}
	}
	b.mu.RUnlock()
	slices.SortFunc(out, func(a, b schemas.Alert) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return out
}

// Record returns the record that stores a in topic.
func Record(topic string, a *schemas.Alert) (*kgo.Record, error) {
	value, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode alert %q: %w", a.Fingerprint, err)
	}
	return &kgo.Record{Topic: topic, Key: []byte(a.Fingerprint), Value: value}, nil
}

// Tombstone returns the record that makes everybody forget an alert.
func Tombstone(topic, fingerprint string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(fingerprint)}
}
