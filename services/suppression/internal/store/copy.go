package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/table"
)

const (
	// copyKeysMin is from how many states on there is a copy: fewer are in the database's
	// own cache.
	copyKeysMin = 100_000

	// copyChangedShare is which part of the states may be newer than the copy, which are
	// read from the database. A list that grows steadily is copied about four times over.
	copyChangedShare = 4

	// copyAgain is after how long a copy that failed, on a full disk for one, is tried again.
	copyAgain = time.Minute

	// copySpareBytes is what a value takes in a copy beyond its size in the database: more
	// than the share of the directory, of a sum and of the rest of a page.
	copySpareBytes = 16

	// copyPrefix and a number are the name of a copy's file, in the folder of the database.
	copyPrefix = "copy-"
)

// errNoCopy says that there is no copy, or none that can be used.
var errNoCopy = errors.New("there is no copy of the states")

// copied is the copy of all states that most reads are answered from: the values of the
// database as they were at one moment, in one table, and a filter of the keys that have
// changed since. The database has the same keys, written together with the states. What
// is wrong with a copy costs time, never an answer: the database has everything.
type copied struct {
	dir    string
	wanted chan struct{} // one token: a newer copy is due

	// reading is held for reading while table is in use, and for writing to replace it.
	// The next two are changed with both reading and Pebble.mu held.
	reading    sync.RWMutex
	table      *table.Table // nil: there is none that can be used
	generation uint64       // of the copy that the database names; 0: none
	since      *filter      // the keys that changed since, and some more; nil: no copy was opened

	changed atomic.Int64 // about how many keys are in since
	next    *copying     // guarded by Pebble.mu; nil: none
}

// copying is a copy that is being made.
type copying struct {
	generation uint64
	at         *pebble.Snapshot
	known      int64   // the states in at
	since      *filter // the keys that changed after at
	changed    int64   // guarded by Pebble.mu
}

// marks returns the generation since which changes are to be written down, 0 for none. The
// caller holds Pebble.mu.
func (c *copied) marks() uint64 {
	if c.next != nil {
		return c.next.generation
	}
	return c.generation
}

// outdate remembers that keys are about to change. The caller holds Pebble.mu.
func (c *copied) outdate(keys []Key) {
	for _, k := range keys {
		if c.since != nil && !c.since.has(k) {
			c.since.add(k)
			c.changed.Add(1)
		}
		if c.next != nil && !c.next.since.has(k) {
			c.next.since.add(k)
			c.next.changed++
		}
	}
}

// wantIfOld asks for a newer copy where one is due. The caller holds Pebble.mu.
func (c *copied) wantIfOld(known int64) {
	if known >= copyKeysMin && c.next == nil && (c.since == nil || c.changed.Load() > known/copyChangedShare) {
		c.want()
	}
}

func (c *copied) want() {
	select {
	case c.wanted <- struct{}{}:
	default:
	}
}

// use replaces the copy. The caller holds Pebble.mu.
func (c *copied) use(t *table.Table, generation uint64, since *filter, changed int64) error {
	err := c.close()
	c.reading.Lock()
	defer c.reading.Unlock()
	c.table, c.generation, c.since, c.next = t, generation, since, nil
	c.changed.Store(changed)
	return err
}

// close has all that follows read from the database.
func (c *copied) close() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	old := c.table
	if c.table = nil; old == nil {
		return nil
	}
	return old.Close()
}

func (c *copied) path(generation uint64) string {
	return filepath.Join(c.dir, fmt.Sprint(copyPrefix, generation))
}

// sweep removes the files of all copies but one.
func (c *copied) sweep(but uint64) error {
	files, err := os.ReadDir(c.dir)
	for _, file := range files {
		if path := filepath.Join(c.dir, file.Name()); strings.HasPrefix(file.Name(), copyPrefix) && path != c.path(but) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// CopyBytes returns the size of the copy that is in use, 0 where there is none.
func (p *Pebble) CopyBytes() int64 {
	p.copied.reading.RLock()
	defer p.copied.reading.RUnlock()
	if p.copied.table == nil {
		return 0
	}
	return p.copied.table.Bytes()
}

// fromCopy reads those of keys that order names into states, and returns those of order
// that have to be asked of the database. It reuses order.
func (p *Pebble) fromCopy(keys []Key, order []int, states []schemas.Suppression) (rest []int) {
	rest, generation, err := p.copied.read(keys, order, states)
	if err == nil {
		return rest
	}
	p.spoilt(generation, err)
	rest = rest[:0]
	for i := range keys {
		if states[i] = (schemas.Suppression{}); p.Known(keys[i]) {
			rest = append(rest, i)
		}
	}
	return rest
}

// read is fromCopy, with the generation of the copy that was read.
func (c *copied) read(keys []Key, order []int, states []schemas.Suppression) (rest []int, generation uint64, err error) {
	c.reading.RLock()
	defer c.reading.RUnlock()
	if c.table == nil {
		return order, 0, nil
	}
	rest = order[:0]
	err = c.table.Each(func(yield func(int, *table.Key) bool) {
		for _, i := range order { // rest is never longer than what was read of order
			if c.since.has(keys[i]) {
				rest = append(rest, i)
			} else if !yield(i, (*table.Key)(&keys[i])) {
				return
			}
		}
	}, func(i int, value []byte) (err error) {
		states[i], err = decodeState(keys[i], value)
		return err
	})
	return rest, c.generation, err
}

// spoilt does without the copy of a generation, which is damaged, and asks for another.
func (p *Pebble) spoilt(generation uint64, cause error) {
	c := &p.copied
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.table == nil || c.generation != generation {
		return // another reader was first
	}
	p.log.Warn("copy of the states is damaged, reading the database", telemetry.Err(errors.Join(cause, c.table.Close())))
	c.table = nil
	c.want()
}

// renewCopies makes a copy whenever one is due, until ctx is done.
func (p *Pebble) renewCopies(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.copied.wanted:
		}
		err := p.renewCopy(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.log.Warn("states were not copied, checks of many listed addresses take longer", telemetry.Err(err), telemetry.Delay(copyAgain))
			if lifecycle.Sleep(ctx, copyAgain) != nil {
				return
			}
			p.copied.want()
		}
	}
}

// renewCopy copies the states as they are now and has reads use the copy.
func (p *Pebble) renewCopy(ctx context.Context) error {
	if err := p.roomForCopy(); err != nil {
		return err
	}
	began := time.Now()
	next := p.beginCopy()
	size, err := p.finishCopy(ctx, next)
	if err = errors.Join(err, p.endCopy(next)); err != nil {
		return err
	}
	p.log.Info("states copied for checks", telemetry.Rows(int(next.known)), telemetry.Bytes(int(size)), telemetry.Duration(time.Since(began)))
	return nil
}

// beginCopy has what changes from here on written down. End it with endCopy.
func (p *Pebble) beginCopy() *copying {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := &copying{
		generation: p.copied.generation + 1, at: p.db.NewSnapshot(), known: p.Len(),
		since: newFilter(p.Len() / copyChangedShare * 2),
	}
	p.copied.next = next
	return next
}

// endCopy lets go of what next was made from, finished or not.
func (p *Pebble) endCopy(next *copying) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.copied.next == next {
		p.copied.next = nil
	}
	return errors.Join(next.at.Close(), p.copied.sweep(p.copied.generation))
}

// finishCopy has reads use next, and returns the size of its file.
func (p *Pebble) finishCopy(ctx context.Context, next *copying) (size int64, err error) {
	c := &p.copied
	path := c.path(next.generation)
	if err := p.writeCopy(ctx, next.at, path, next.known); err != nil {
		return 0, err
	}
	t, err := table.Open(path)
	if err != nil {
		return 0, err
	}
	size = t.Bytes()
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.next != next {
		return 0, errors.Join(errors.New("the list was filled meanwhile"), t.Close())
	}
	if err := p.adopt(next.generation); err != nil {
		return 0, errors.Join(err, t.Close())
	}
	return size, c.use(t, next.generation, next.since, next.changed)
}

// roomForCopy returns disk.ErrFull where a copy would take what has to stay free.
func (p *Pebble) roomForCopy() error {
	size, err := p.db.EstimateDiskUsage([]byte{prefixState}, []byte{prefixState + 1})
	if err != nil {
		return fmt.Errorf("copy states: %w", err)
	}
	room := p.room
	room.BytesMin += config.ByteSize(size) + config.ByteSize(p.Len())*copySpareBytes
	if err := room.Check(); err != nil {
		return fmt.Errorf("copy states: %w", err)
	}
	return nil
}

// writeCopy writes about known states of at.
func (p *Pebble) writeCopy(ctx context.Context, at pebble.Reader, path string, known int64) (err error) {
	w, err := table.Create(path, known)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	err = p.iterateOver(ctx, at, Key{}, func(k Key, value []byte) (bool, error) { return true, w.Add(table.Key(k), value) })
	if err != nil {
		return fmt.Errorf("copy states: %w", err)
	}
	return w.Finish()
}

// adopt makes a copy that of the database, durably: with all states that are in it. The
// caller holds mu.
func (p *Pebble) adopt(generation uint64) error {
	batch := p.db.NewBatch()
	defer func() { _ = batch.Close() }() // it holds only memory
	err := errors.Join(
		batch.Set([]byte(metaKnown), binary.AppendVarint(nil, p.Len()), nil),
		batch.Set([]byte(metaFormat), fmt.Append(nil, formatCopied), nil),
		batch.Set([]byte(metaTable), binary.BigEndian.AppendUint64(nil, generation), nil),
		batch.DeleteRange([]byte{prefixChanged}, changedKey(generation), nil), // what changed before is in it
		batch.DeleteRange(changedKey(generation+1), []byte{prefixChanged + 1}, nil),
		batch.Commit(pebble.Sync),
	)
	if err != nil {
		return p.fault(fmt.Errorf("adopt copy of the states: %w", err))
	}
	return nil
}

// changedKey begins the key that says that a state changed since a copy.
func changedKey(generation uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixChanged}, generation)
}

// loadCopy opens the copy and reads from it what loadStates reads from the database, in a
// fraction of the time. errNoCopy says that loadStates has to.
func (p *Pebble) loadCopy(ctx context.Context, known int64) error {
	at, err := p.meta(metaTable)
	if err != nil {
		return err
	}
	var generation uint64
	if len(at) == 8 {
		generation = binary.BigEndian.Uint64(at)
	}
	if err := p.copied.sweep(generation); err != nil {
		return fmt.Errorf("remove old copies: %w", err)
	}
	if generation == 0 {
		return errNoCopy
	}
	p.copied.generation = generation // changes are written down, whether it can be opened or not
	t, err := table.Open(p.copied.path(generation))
	if err == nil {
		if err = p.readCopy(ctx, t, generation, known); err == nil {
			return nil
		}
		err = errors.Join(err, t.Close())
	}
	if ctx.Err() != nil {
		return err
	}
	p.log.Warn("copy of the states cannot be used, reading the database", telemetry.Err(err))
	return errNoCopy
}

func (p *Pebble) readCopy(ctx context.Context, t *table.Table, generation uint64, known int64) error {
	var mu sync.Mutex
	many, f := map[Key]row{}, p.filter.Load()
	g, within := errgroup.WithContext(ctx)
	for part := range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			return t.Part(part, runtime.GOMAXPROCS(0), func(k table.Key, value []byte) error {
				f.add(k)
				if !ofPattern(value) {
					return within.Err()
				}
				state, err := decodeState(k, value)
				mu.Lock()
				defer mu.Unlock()
				many[k] = row{state: state, found: true}
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	since, changed, err := p.readChanged(generation, known, many)
	if err != nil {
		return err
	}
	p.patterns.take(many)
	p.known.Store(known)
	return p.copied.use(t, generation, since, changed)
}

// readChanged returns which keys changed since the copy of a generation, and corrects the
// patterns that were read from it.
func (p *Pebble) readChanged(generation uint64, known int64, many map[Key]row) (since *filter, n int64, err error) {
	since = newFilter(known / copyChangedShare * 2)
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: changedKey(generation), UpperBound: []byte{prefixChanged + 1}})
	if err != nil {
		return nil, 0, fmt.Errorf("read changes since the copy: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if len(key) != 1+8+KeyBytes {
			return nil, 0, p.fault(damaged(errCut))
		}
		k := Key(key[1+8:])
		since.add(k)
		p.filter.Load().add(k)
		n++
		if _, was := many[k]; !was && len(it.Value()) == 0 {
			continue
		}
		state, found, err := p.read(k)
		if err != nil {
			return nil, 0, err
		}
		if many[k] = (row{state: state, found: found}); !found {
			delete(many, k)
		}
	}
	return since, n, nil
}
