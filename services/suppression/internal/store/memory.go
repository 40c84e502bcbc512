package store

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/mailstream/mailstream/schemas"
)

// Memory is a store that exists as long as the process: for lists of a few
// thousand addresses and for tests. It is safe for concurrent use.
type Memory struct {
	mu      sync.RWMutex
	rows    map[Key]row
	applied map[int32]int64
	settle  Settle

	patterns patterns
}

// NewMemory returns an empty store; settle may be nil.
func NewMemory(settle Settle) *Memory {
	return &Memory{rows: map[Key]row{}, applied: map[int32]int64{}, settle: settle}
}

// Patterns returns what stands for many addresses, by its address. It is not to be changed.
func (m *Memory) Patterns() map[string]schemas.Suppression { return m.patterns.all() }

// Known reports whether anything may be known of k.
func (m *Memory) Known(k Key) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.rows[k].found
}

// Get returns the state of k; ok is false when nothing is known.
func (m *Memory) Get(k Key) (state schemas.Suppression, ok bool, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r := m.rows[k]
	return r.state, r.found, nil
}

// GetAll returns what is known of each of keys, in their order; the state of one that is
// unknown has no hash.
func (m *Memory) GetAll(keys []Key) ([]schemas.Suppression, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	states := make([]schemas.Suppression, len(keys))
	for i, k := range keys {
		states[i] = m.rows[k].state
	}
	return states, nil
}

// Merge makes all of b or nothing of it.
func (m *Memory) Merge(b Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := map[Key]row{}
	for _, u := range b.Updates {
		next, _ := m.rows[u.Key].apply(u, m.settle)
		if changed[u.Key] = next; next.found {
			m.rows[u.Key] = next
		} else {
			delete(m.rows, u.Key)
		}
	}
	m.patterns.take(changed)
	maps.Copy(m.applied, b.Applied)
	return nil
}

// Scan calls yield with the states from key from on, in key order, until yield
// says no.
func (m *Memory) Scan(ctx context.Context, from Key, yield func(Key, schemas.Suppression) bool) error {
	m.mu.RLock()
	keys := slices.SortedFunc(maps.Keys(m.rows), func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	rows := maps.Clone(m.rows)
	m.mu.RUnlock()
	for _, k := range keys {
		if bytes.Compare(k[:], from[:]) < 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !yield(k, rows[k].state) {
			return nil
		}
	}
	return nil
}

// Behind returns up to limit keys of which the topic knows less than the store.
func (m *Memory) Behind(limit int) []Key {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []Key
	for k, r := range m.rows {
		if len(out) == limit {
			break
		}
		if r.behind {
			out = append(out, k)
		}
	}
	return out
}

// Applied returns the offset to read next, by partition. The caller owns it.
func (m *Memory) Applied() map[int32]int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return maps.Clone(m.applied)
}

// Len returns how many addresses are known.
func (m *Memory) Len() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return int64(len(m.rows))
}
