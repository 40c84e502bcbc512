package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/services/internal/platform/disk"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// folderName is the store's own folder in the state folder of the service:
	// only this one is ever emptied.
	folderName = "suppressions.pebble"

	// lockFolderName is beside it, so that emptying never races with its holder.
	lockFolderName = "suppressions.lock"

	// damagedName marks a store that was found damaged while it was in use.
	damagedName = "DAMAGED"

	// memTableBytes is large enough for the first read of a long topic to write
	// few small files, and costs twice this in memory at most.
	memTableBytes = 32 << 20

	// filesOpenMax bounds the open tables; the store of 20 M addresses has some
	// hundreds.
	filesOpenMax = 1000
)

// Options say what to open.
type Options struct {
	// Dir is the state folder of the service; the store makes its own in there.
	Dir string
	// Topic is the id of the topic the states come from. A store of another topic
	// is emptied: its positions mean nothing there.
	Topic string
	// CacheBytes is the memory for blocks of the database. Zero: Pebble's 8 MB.
	CacheBytes int64
	// Room is asked before each write: Pebble ends the process when the system
	// refuses one. Its Dir is that of the store. A zero one always has room.
	Room disk.Room
	// Settle is applied to each state that is merged.
	Settle Settle
	Log    *zap.Logger
}

// RoomBytesMin is what has to stay free: the write-ahead log, two tables of
// memory that are written out, and a compaction of theirs.
const RoomBytesMin = 4 * memTableBytes

// Open opens the store in opt.Dir, or makes an empty one there when there is
// none, or when what is there is damaged or of another topic or version; it
// logs why. ErrInUse is returned when another process has it, disk.ErrFull where there is no room.
func Open(ctx context.Context, opt Options) (*Pebble, error) {
	if err := opt.Room.Check(); err != nil {
		return nil, fmt.Errorf("open local store: %w", err)
	}
	lock, err := lockFolder(filepath.Join(opt.Dir, lockFolderName))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := openLocked(ctx, opt)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	p.lock = lock
	opt.Log.Info("local store opened", telemetry.Rows(int(p.Len())), telemetry.Duration(time.Since(began)))
	return p, nil
}

// Maintain replaces the filter by a larger one whenever it has become too small, and the
// copy by a newer one when too much has changed, until ctx is done. Answers stay right
// meanwhile.
func (p *Pebble) Maintain(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { p.renewCopies(ctx); return nil })
	g.Go(func() error { return p.growFilters(ctx) })
	return g.Wait()
}

func (p *Pebble) growFilters(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.grow:
		}
		if err := p.rebuild(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (p *Pebble) rebuild(ctx context.Context) error {
	next := newFilter(2 * p.known.Load())
	p.mu.Lock() // from here on every new key enters next; all older ones are in the scan
	p.next.Store(next)
	p.mu.Unlock()
	defer p.next.Store(nil)
	if err := p.fill(ctx, next); err != nil {
		return err
	}
	p.filter.Store(next)
	p.log.Info("filter rebuilt", telemetry.Bytes(int(next.bytes())))
	return nil
}

func (p *Pebble) fill(ctx context.Context, f *filter) error {
	return p.iterate(ctx, Key{}, func(k Key, _ []byte) (bool, error) {
		f.add(k)
		return true, nil
	})
}

func lockFolder(dir string) (*pebble.Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	if err != nil {
		return nil, fmt.Errorf("lock state folder %s: %w: %w", filepath.Dir(dir), ErrInUse, err)
	}
	return lock, nil
}

// openLocked opens what is there or starts anew, once.
func openLocked(ctx context.Context, opt Options) (*Pebble, error) {
	dir := filepath.Join(opt.Dir, folderName)
	p, err := openFolder(ctx, dir, opt)
	if err == nil || ctx.Err() != nil {
		return p, err
	}
	opt.Log.Warn("local store emptied, rebuilding it from the topic", telemetry.Err(err))
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("empty local store: %w", err)
	}
	return openFolder(ctx, dir, opt)
}

func openFolder(ctx context.Context, dir string, opt Options) (*Pebble, error) {
	if _, err := os.Stat(filepath.Join(dir, damagedName)); err == nil {
		return nil, ErrDamaged
	}
	alarm := &alarm{file: filepath.Join(dir, damagedName), raised: make(chan struct{}), log: opt.Log}
	options := &pebble.Options{
		CacheSize:          opt.CacheBytes,
		MemTableSize:       memTableBytes,
		MaxOpenFiles:       filesOpenMax,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             databaseLog{log: telemetry.Throttled(opt.Log)},
		EventListener:      &pebble.EventListener{DataCorruption: func(i pebble.DataCorruptionInfo) { alarm.raise(i.Details) }},
	}
	for level := range options.Levels { // a check unpacks nothing, for twice the disk: decision 0021
		options.Levels[level].Compression = func() *block.CompressionProfile { return block.NoCompression }
	}
	options.EnsureDefaults()
	db, err := pebble.Open(dir, options)
	if err != nil {
		return nil, fmt.Errorf("open local store: %w", err)
	}
	p := &Pebble{
		db: db, options: options, dir: opt.Dir, room: opt.Room, made: opt.Settle, log: opt.Log, alarm: alarm,
		grow: make(chan struct{}, 1), behind: map[Key]struct{}{}, applied: map[int32]int64{},
	}
	p.copied.wanted = make(chan struct{}, 1)
	if err := p.load(ctx, dir, opt.Topic); err != nil {
		return nil, errors.Join(err, p.copied.close(), db.Close())
	}
	p.copied.wantIfOld(p.Len())
	return p, nil
}

// load checks whose store it is and reads what is kept in memory.
func (p *Pebble) load(ctx context.Context, dir, topic string) error {
	if err := p.claim(topic); err != nil {
		return err
	}
	known, err := p.count()
	if err != nil {
		return err
	}
	p.filter.Store(newFilter(known + known/4))
	p.copied.dir = dir
	if err = p.loadCopy(ctx, known); errors.Is(err, errNoCopy) {
		err = p.loadStates(ctx)
	}
	if err != nil {
		return err
	}
	return p.loadPositions()
}

// count returns how many states the store says it has; 0 for an empty one.
func (p *Pebble) count() (int64, error) {
	text, err := p.meta(metaKnown)
	known, _ := binary.Varint(text)
	return max(known, 0), err
}

// loadStates reads all states: their keys, their number, and what stands for many addresses.
func (p *Pebble) loadStates(ctx context.Context) error {
	var n int64
	f, many := p.filter.Load(), map[Key]row{}
	err := p.iterate(ctx, Key{}, func(k Key, value []byte) (bool, error) {
		f.add(k)
		n++
		if !ofPattern(value) {
			return true, nil
		}
		state, err := decodeState(k, value)
		many[k] = row{state: state, found: true}
		return true, err
	})
	p.patterns.take(many)
	p.known.Store(n)
	return err
}

// claim records the owner of the store, or finds that it has another owner.
func (p *Pebble) claim(topic string) error {
	format, err := p.meta(metaFormat)
	if err != nil {
		return err
	}
	want := []byte(strconv.Itoa(formatVersion))
	if format == nil {
		batch := p.db.NewBatch()
		defer func() { _ = batch.Close() }() // it holds only memory
		if err := errors.Join(batch.Set([]byte(metaFormat), want, nil), batch.Set([]byte(metaTopic), []byte(topic), nil)); err != nil {
			return fmt.Errorf("claim local store: %w", err)
		}
		return batch.Commit(pebble.Sync)
	}
	if !bytes.Equal(format, want) && string(format) != strconv.Itoa(formatCopied) {
		return fmt.Errorf("local store has format %q, want %q or %d", format, want, formatCopied)
	}
	had, err := p.meta(metaTopic)
	if err != nil {
		return err
	}
	if string(had) != topic {
		return fmt.Errorf("local store is of topic id %q, the topic is now %q", had, topic)
	}
	return nil
}

func (p *Pebble) meta(key string) ([]byte, error) {
	value, closer, err := p.db.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read local store: %w", err)
	}
	value = bytes.Clone(value)
	return value, closer.Close()
}

// loadPositions reads the positions and the keys that are behind.
func (p *Pebble) loadPositions() error {
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixApplied}, UpperBound: []byte{prefixBehind + 1}})
	if err != nil {
		return fmt.Errorf("read positions: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if isBehindKey(key) {
			p.behind[Key(key[1:])] = struct{}{}
			continue
		}
		offset, n := binary.Varint(it.Value())
		if len(key) != 5 || n <= 0 {
			return errors.Join(damaged(errCut), it.Close())
		}
		p.applied[int32(binary.BigEndian.Uint32(key[1:]))] = offset
	}
	return it.Close()
}

// fault raises the alarm when err says that the store is damaged, and returns
// err with that said.
func (p *Pebble) fault(err error) error {
	if !pebble.IsCorruptionError(err) && !errors.Is(err, ErrDamaged) {
		return err
	}
	if !errors.Is(err, ErrDamaged) {
		err = damaged(err)
	}
	p.alarm.raise(err)
	return err
}

// alarm is what becomes of damage, whether a read of ours or the database's own
// work finds it: the store is marked for emptying and its owner is notified.
type alarm struct {
	file   string // the mark
	once   sync.Once
	raised chan struct{} // closed once
	log    *zap.Logger
}

func (a *alarm) raise(cause error) {
	a.once.Do(func() {
		a.log.Error("local store is damaged", telemetry.Err(cause))
		if err := os.WriteFile(a.file, nil, 0o600); err != nil { // the next open will find the damage as well
			a.log.Error("damaged store was not marked", telemetry.Err(err))
		}
		close(a.raised)
	})
}

// databaseLog passes on what the database says: its chatter at debug, what it
// cannot go on after as a panic, since acknowledged states would be lost.
type databaseLog struct{ log *zap.Logger }

// Infof drops the chatter unless debug is on.
func (l databaseLog) Infof(format string, args ...any) {
	l.log.Debug("database", telemetry.Name(fmt.Sprintf(format, args...)))
}

// Errorf passes a fault on.
func (l databaseLog) Errorf(format string, args ...any) {
	l.log.Error("database fault", telemetry.Err(fmt.Errorf(format, args...)))
}

// Fatalf ends the process: the database can write no more.
func (l databaseLog) Fatalf(format string, args ...any) {
	l.log.Panic("database cannot go on", telemetry.Err(fmt.Errorf(format, args...)))
}

// Compact merges all states into place, so that reads find each in one file.
func (p *Pebble) Compact(ctx context.Context) error {
	if err := p.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
		return fmt.Errorf("compact local store: %w", err)
	}
	return nil
}
