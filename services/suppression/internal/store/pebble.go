package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/disk"
)

// The first byte of every key in the database.
const (
	prefixState   = 's' // + Key: the state
	prefixBehind  = 'b' // + Key: the topic knows less; no value
	prefixApplied = 'a' // + partition, big endian: the offset to read next
	prefixChanged = 'c' // + generation of a copy, big endian + Key: it changed since; 1: it is or was a pattern
	prefixMeta    = 'm' // + name
)

// behindMax bounds the keys remembered as behind. Each is the trace of two
// writers at one address within milliseconds, and the repair empties the set
// every second; 100,000 take 3 MB.
const behindMax = 100_000

// Pebble is a store on disk with a filter of known keys in front, so that the
// usual question, about an address that is not listed, reads no disk. It is
// safe for concurrent use. Writes survive the end of the process at once, and
// the end of the machine up to what the system had flushed: the positions go
// back with the states.
type Pebble struct {
	db      *pebble.DB
	options *pebble.Options // of db, with the defaults
	dir     string          // Options.Dir

	lock *pebble.Lock
	room disk.Room
	log  *zap.Logger

	made Settle // what the rules make of a state

	// filter is the one in use; next, while a larger one is being filled, gets
	// every new key too.
	filter, next atomic.Pointer[filter]
	grow         chan struct{} // one token: the filter is too small
	known        atomic.Int64

	alarm *alarm

	patterns patterns

	copied copied

	mu      sync.Mutex // held by the one who merges
	behind  map[Key]struct{}
	applied map[int32]int64
}

// Patterns returns what stands for many addresses, by its address, from memory. It is not
// to be changed.
func (p *Pebble) Patterns() map[string]schemas.Suppression { return p.patterns.all() }

// Known reports whether anything may be known of k, from memory: false is certain.
func (p *Pebble) Known(k Key) bool { return p.filter.Load().has(k) }

// Get returns the state of k; ok is false when nothing is known.
func (p *Pebble) Get(k Key) (state schemas.Suppression, ok bool, err error) {
	if !p.filter.Load().has(k) {
		return schemas.Suppression{}, false, nil
	}
	states := make([]schemas.Suppression, 1)
	if rest := p.fromCopy([]Key{k}, []int{0}, states); len(rest) == 0 {
		return states[0], states[0].Hash != "", nil
	}
	return p.read(k)
}

// getAllMin is from how many keys on one pass over the disk is quicker than that many
// questions.
const getAllMin = 8

// GetAll returns what is known of each of keys, in their order; the state of one that is
// unknown has no hash. It reads the copy (decision 0031), and what that has not in the
// order of the disk: a thousand take a third of the time of a thousand Gets (decision 0021).
func (p *Pebble) GetAll(keys []Key) ([]schemas.Suppression, error) {
	states := make([]schemas.Suppression, len(keys))
	var maybe []int // those that pass the filter: few beyond the known ones
	f := p.filter.Load()
	for i, k := range keys {
		if f.has(k) {
			maybe = append(maybe, i)
		}
	}
	if maybe = p.fromCopy(keys, maybe, states); len(maybe) < getAllMin {
		for _, i := range maybe {
			state, _, err := p.read(keys[i])
			if err != nil {
				return nil, err
			}
			states[i] = state
		}
		return states, nil
	}
	slices.SortFunc(maybe, func(a, b int) int { return bytes.Compare(keys[a][:], keys[b][:]) })
	return states, p.pass(keys, maybe, states)
}

// pass reads the keys that order names, which are sorted, into states.
func (p *Pebble) pass(keys []Key, order []int, states []schemas.Suppression) error {
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixState}, UpperBound: []byte{prefixState + 1}})
	if err != nil {
		return p.fault(fmt.Errorf("read states: %w", err))
	}
	defer func() { _ = it.Close() }() // its error is read below
	var space [1 + KeyBytes]byte
	for _, i := range order {
		key := stateKey(space[:0], keys[i])
		if !it.SeekGE(key) {
			break // an error, or nothing is behind it
		}
		if !bytes.Equal(it.Key(), key) {
			continue
		}
		if states[i], err = decodeState(keys[i], it.Value()); err != nil {
			return p.fault(damaged(err))
		}
	}
	if err := it.Error(); err != nil {
		return p.fault(fmt.Errorf("read states: %w", err))
	}
	return nil
}

// Merge makes all of b or nothing of it. The error is disk.ErrFull while there is
// no room.
func (p *Pebble) Merge(b Batch) error {
	if err := p.room.Check(); err != nil {
		return fmt.Errorf("write to local store: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	batch := p.db.NewBatch()
	defer func() { _ = batch.Close() }() // it holds only memory
	w := writing{store: p, batch: batch, rows: make(map[Key]row, len(b.Updates))}
	for _, u := range b.Updates {
		if err := w.update(u); err != nil {
			return err
		}
	}
	if err := w.finish(b.Applied); err != nil {
		return err
	}
	if batch.Empty() {
		return nil
	}
	for k, r := range w.rows { // before the commit: a filter may not miss a key
		if r.found {
			p.remember(k)
		}
	}
	p.copied.outdate(w.changed)
	if err := batch.Commit(pebble.NoSync); err != nil {
		return p.fault(fmt.Errorf("commit batch: %w", err))
	}
	p.settle(&w, b.Applied)
	return nil
}

// Scan calls yield with the states from key from on, in key order, as they were
// at the call, until yield says no.
func (p *Pebble) Scan(ctx context.Context, from Key, yield func(Key, schemas.Suppression) bool) error {
	return p.iterate(ctx, from, func(k Key, value []byte) (bool, error) {
		state, err := decodeState(k, value)
		if err != nil {
			return false, p.fault(damaged(err))
		}
		return yield(k, state), nil
	})
}

// Behind returns up to limit keys of which the topic knows less than the store.
func (p *Pebble) Behind(limit int) []Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Key, 0, min(limit, len(p.behind)))
	for k := range p.behind {
		if len(out) == limit {
			break
		}
		out = append(out, k)
	}
	return out
}

// Applied returns the offset to read next, by partition. The caller owns it.
func (p *Pebble) Applied() map[int32]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.applied)
}

// Len returns how many addresses are known.
func (p *Pebble) Len() int64 { return p.known.Load() }

// FilterBytes returns the memory the filter takes.
func (p *Pebble) FilterBytes() int64 { return p.filter.Load().bytes() }

// Broken is closed once a read or write has found the store damaged. It answers
// wrongly or not at all from then on, and the next Open empties it.
func (p *Pebble) Broken() <-chan struct{} { return p.alarm.raised }

// Close writes out what is in memory and lets go of the folder.
func (p *Pebble) Close() error {
	return errors.Join(p.copied.close(), p.db.Close(), p.lock.Close())
}

func (p *Pebble) read(k Key) (state schemas.Suppression, ok bool, err error) {
	var key [1 + KeyBytes]byte
	value, closer, err := p.db.Get(stateKey(key[:0], k))
	if errors.Is(err, pebble.ErrNotFound) {
		return schemas.Suppression{}, false, nil
	}
	if err != nil {
		return schemas.Suppression{}, false, p.fault(fmt.Errorf("read state: %w", err))
	}
	state, err = decodeState(k, value)
	_ = closer.Close() // it only unpins a block
	if err != nil {
		return schemas.Suppression{}, false, p.fault(damaged(err))
	}
	return state, true, nil
}

func (p *Pebble) iterate(ctx context.Context, from Key, yield func(Key, []byte) (bool, error)) error {
	return p.iterateOver(ctx, p.db, from, yield)
}

// iterateOver calls yield with the states that r has.
func (p *Pebble) iterateOver(ctx context.Context, r pebble.Reader, from Key, yield func(Key, []byte) (bool, error)) error {
	it, err := r.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: stateKey(nil, from), UpperBound: []byte{prefixState + 1},
	})
	if err != nil {
		return fmt.Errorf("scan states: %w", err)
	}
	defer func() { _ = it.Close() }() // its error is read below
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var k Key
		if len(it.Key()) != 1+KeyBytes {
			return p.fault(damaged(errCut))
		}
		copy(k[:], it.Key()[1:])
		more, err := yield(k, it.Value())
		if err != nil || !more {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return p.fault(fmt.Errorf("scan states: %w", err))
	}
	return nil
}

// remember puts k into the filters. The caller holds mu.
func (p *Pebble) remember(k Key) {
	p.filter.Load().add(k)
	if next := p.next.Load(); next != nil {
		next.add(k)
	}
}

// settle takes over in memory what w has committed. The caller holds mu.
func (p *Pebble) settle(w *writing, applied map[int32]int64) {
	p.patterns.take(w.rows)
	for k, r := range w.rows {
		switch {
		case !r.behind:
			delete(p.behind, k)
		case len(p.behind) < behindMax:
			p.behind[k] = struct{}{}
		}
	}
	maps.Copy(p.applied, applied)
	p.known.Add(w.grown)
	if p.known.Load() > p.filter.Load().capacity {
		select {
		case p.grow <- struct{}{}:
		default:
		}
	}
	p.copied.wantIfOld(p.known.Load())
}

// writing is one Merge on its way: the rows it has read or changed so far.
type writing struct {
	store *Pebble
	batch *pebble.Batch
	rows  map[Key]row
	grown int64 // keys more than before
	// changed are the keys whose states are others than before.
	changed []Key
	key     [1 + KeyBytes]byte
	value   []byte
}

func (w *writing) update(u Update) error {
	r, err := w.row(u.Key)
	if err != nil {
		return err
	}
	next, changed := r.apply(u, w.store.made)
	w.rows[u.Key] = next
	switch {
	case next.found && !r.found:
		w.grown++
	case r.found && !next.found:
		w.grown--
	}
	if changed {
		w.changed = append(w.changed, u.Key)
		err := errors.Join(w.putState(u.Key, next), w.putChanged(u.Key, isPattern(r.state) || isPattern(next.state)))
		if err != nil {
			return err
		}
	}
	if next.behind != r.behind {
		return w.putBehind(u.Key, next.behind)
	}
	return nil
}

func (w *writing) row(k Key) (row, error) {
	if r, ok := w.rows[k]; ok {
		return r, nil
	}
	state, found, err := w.store.Get(k)
	if err != nil {
		return row{}, err
	}
	_, behind := w.store.behind[k]
	return row{state: state, found: found, behind: behind}, nil
}

func (w *writing) putState(k Key, r row) error {
	key := stateKey(w.key[:0], k)
	if !r.found {
		return w.batch.Delete(key, nil)
	}
	w.value = appendState(w.value[:0], r.state)
	return w.batch.Set(key, w.value, nil)
}

// putChanged writes down that the copy is older than the state of k.
func (w *writing) putChanged(k Key, pattern bool) error {
	generation := w.store.copied.marks()
	if generation == 0 {
		return nil
	}
	var value []byte
	if pattern {
		value = []byte{1}
	}
	return w.batch.Set(append(changedKey(generation), k[:]...), value, nil)
}

func (w *writing) putBehind(k Key, behind bool) error {
	key := append(append(w.key[:0], prefixBehind), k[:]...)
	if behind {
		return w.batch.Set(key, nil, nil)
	}
	return w.batch.Delete(key, nil)
}

// finish adds what is not about one key.
func (w *writing) finish(applied map[int32]int64) error {
	for partition, offset := range applied {
		if err := w.batch.Set(appliedKey(partition), binary.AppendVarint(nil, offset), nil); err != nil {
			return err
		}
	}
	if w.grown == 0 {
		return nil
	}
	known := w.store.known.Load() + w.grown
	return w.batch.Set([]byte(metaKnown), binary.AppendVarint(nil, known), nil)
}

func stateKey(dst []byte, k Key) []byte { return append(append(dst, prefixState), k[:]...) }

func appliedKey(partition int32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixApplied}, uint32(partition))
}

// The keys of what is known about the store itself.
const (
	metaFormat = "mformat" // formatVersion
	metaTopic  = "mtopic"  // the topic's id
	metaKnown  = "mknown"  // how many states there are
	metaTable  = "mtable"  // generation of the copy; none, or empty: there is no copy
)

func isBehindKey(key []byte) bool {
	return len(key) == 1+KeyBytes && bytes.HasPrefix(key, []byte{prefixBehind})
}
