package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
)

const (
	// fillFolderName is where a Fill keeps its files, beside the store.
	fillFolderName = "suppressions.fill"

	// fillBucketBits part the keys, which are as good as random, into 128 buckets: one of
	// 20 M addresses is 30 MB, which is sorted in memory.
	fillBucketBits = 7
	fillBuckets    = 1 << fillBucketBits

	// fillBufferBytes is what a bucket writes at once: 8 MB for all of them.
	fillBufferBytes = 64 << 10

	// fillPositionsBytesMax bounds a bucket: a position in it is 32 bits.
	fillPositionsBytesMax = 1<<32 - 1
)

// ErrNotEmpty says that a store has states already.
var ErrNotEmpty = errors.New("the store is not empty")

// Fill gives an empty store its first states, many times faster than Merge: they are
// collected in files by the first bits of their keys, each file is sorted, and the
// database takes over the results as they are. Nothing of it is in the store before
// Finish returns nil, and all of it together with the positions afterwards. Add is safe
// for concurrent use, as long as the updates of one key come in their order.
type Fill struct {
	store   *Pebble
	dir     string
	buckets [fillBuckets]fillBucket
	added   atomic.Int64

	// Of ReadSnapshot: the key that came last, whether there was one, and room for a value.
	last  Key
	more  bool
	value []byte
}

type fillBucket struct {
	mu      sync.Mutex
	file    *os.File
	buffer  []byte // guarded by mu
	written int64  // guarded by mu
}

// The first byte of what a bucket holds of one update.
const (
	fillState  byte = iota // what the rules make of it is to be found
	fillReady              // the rules leave it as it is
	fillBehind             // as fillState, and the topic knows less
	fillPurge
)

// NewFill begins to fill p, which has no states yet. End it with Close.
func (p *Pebble) NewFill() (*Fill, error) {
	if p.Len() > 0 {
		return nil, ErrNotEmpty
	}
	f := &Fill{store: p, dir: filepath.Join(p.dir, fillFolderName)}
	if err := errors.Join(os.RemoveAll(f.dir), os.MkdirAll(f.dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make folder to fill the store: %w", err)
	}
	for i := range f.buckets {
		var err error
		if f.buckets[i].file, err = os.Create(f.path(i, "raw")); err != nil {
			return nil, errors.Join(fmt.Errorf("make file to fill the store: %w", err), f.Close())
		}
	}
	return f, nil
}

func (f *Fill) path(bucket int, kind string) string {
	return filepath.Join(f.dir, fmt.Sprintf("%03d.%s", bucket, kind))
}

// Close removes the files.
func (f *Fill) Close() error {
	var errs []error
	for i := range f.buckets {
		if file := f.buckets[i].file; file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}

// Len returns how many updates were added.
func (f *Fill) Len() int64 { return f.added.Load() }

// Add takes updates. The error is disk.ErrFull where there is no room for them.
func (f *Fill) Add(updates []Update) error {
	for i := range updates {
		u := &updates[i]
		kind := fillState
		switch {
		case u.Purge:
			kind = fillPurge
		case isSettled(&u.State):
			kind = fillReady
		}
		if err := f.add(u.Key, kind, &u.State); err != nil {
			return err
		}
	}
	f.added.Add(int64(len(updates)))
	return nil
}

// isSettled says whether no rule makes anything of s: Settle works on soft bounces and
// on what it made of them before.
func isSettled(s *schemas.Suppression) bool {
	return len(s.SoftBounces) == 0 && !slices.ContainsFunc(s.Entries, func(e schemas.SuppressionEntry) bool { return e.Rule != "" })
}

func (f *Fill) add(k Key, kind byte, s *schemas.Suppression) error {
	b := &f.buckets[k[0]>>(8-fillBucketBits)]
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buffer = append(append(b.buffer, kind), k[:]...)
	begin := len(b.buffer)
	b.buffer = append(b.buffer, 0, 0, 0, 0)
	if kind != fillPurge {
		b.buffer = appendState(b.buffer, *s)
	}
	binary.BigEndian.PutUint32(b.buffer[begin:], uint32(len(b.buffer)-begin-4))
	if len(b.buffer) < fillBufferBytes {
		return nil
	}
	return f.flush(b)
}

// flush writes what b has. The caller holds its lock.
func (f *Fill) flush(b *fillBucket) error {
	if err := f.store.room.Check(); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	if b.written += int64(len(b.buffer)); b.written > fillPositionsBytesMax {
		return errors.New("fill the store: more than 4 GiB have keys with the same beginning")
	}
	_, err := b.file.Write(b.buffer)
	b.buffer = b.buffer[:0]
	if err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	return nil
}

// filled is what became of a bucket.
type filled struct {
	keys     int64
	behind   []Key
	patterns map[Key]row
}

// Finish makes all that was added the content of the store, with the offsets to read next.
func (f *Fill) Finish(ctx context.Context, applied map[int32]int64) error {
	p := f.store
	seen := newFilter(f.Len() + f.Len()/4)
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var parts [fillBuckets]filled
	for i := range parts {
		g.Go(func() (err error) {
			if err = within.Err(); err == nil {
				parts[i], err = f.sort(i, seen)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	all := filled{patterns: map[Key]row{}}
	var paths []string
	for i, part := range parts {
		all.keys += part.keys
		all.behind = append(all.behind, part.behind...)
		maps.Copy(all.patterns, part.patterns)
		if part.keys > 0 {
			paths = append(paths, f.path(i, "sst"))
		}
	}
	all.behind = all.behind[:min(len(all.behind), behindMax)]
	about := filepath.Join(f.dir, "about.sst")
	if err := f.writeAbout(about, all, applied); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Len() > 0 {
		return ErrNotEmpty
	}
	p.filter.Store(seen) // before the states: a filter may not miss a key
	if err := p.db.Ingest(ctx, append(paths, about)); err != nil {
		return p.fault(fmt.Errorf("take over the filled tables: %w", err))
	}
	p.known.Store(all.keys)
	p.patterns.take(all.patterns)
	for _, k := range all.behind {
		p.behind[k] = struct{}{}
	}
	maps.Copy(p.applied, applied)
	return nil
}

// table begins a file that the database takes over.
func (f *Fill) table(path string) (*sstable.Writer, error) {
	file, err := vfs.Default.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("make table: %w", err)
	}
	const lowest = 6 // level: nothing is below
	opt := f.store.options.MakeWriterOptions(lowest, f.store.db.TableFormat())
	return sstable.NewWriter(objstorageprovider.NewFileWritable(file), opt), nil
}

// writeAbout writes what is not about one state, in the order of keys.
func (f *Fill) writeAbout(path string, all filled, applied map[int32]int64) error {
	w, err := f.table(path)
	if err != nil {
		return err
	}
	for _, partition := range slices.Sorted(maps.Keys(applied)) {
		err = cmp.Or(err, w.Set(appliedKey(partition), binary.AppendVarint(nil, applied[partition])))
	}
	slices.SortFunc(all.behind, Key.Compare)
	for _, k := range all.behind {
		err = cmp.Or(err, w.Set(append([]byte{prefixBehind}, k[:]...), nil))
	}
	err = cmp.Or(err, w.Set([]byte(metaKnown), binary.AppendVarint(nil, all.keys)))
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("write positions: %w", err)
	}
	return nil
}

// raw is one update in a bucket.
type raw struct {
	key   Key
	kind  byte
	value []byte
}

// sort makes a table of a bucket.
func (f *Fill) sort(bucket int, seen *filter) (out filled, err error) {
	b := &f.buckets[bucket]
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := f.flush(b); err != nil {
		return out, err
	}
	updates, err := b.read()
	if err != nil {
		return out, fmt.Errorf("fill the store: %w", err)
	}
	if err := errors.Join(b.file.Truncate(0), f.store.room.Check()); err != nil { // gives the disk back
		return out, fmt.Errorf("fill the store: %w", err)
	}
	slices.SortStableFunc(updates, func(a, b raw) int { return bytes.Compare(a.key[:], b.key[:]) })
	w, err := f.table(f.path(bucket, "sst"))
	if err != nil {
		return out, err
	}
	for begin := 0; begin < len(updates) && err == nil; {
		end := begin + 1
		for end < len(updates) && updates[end].key == updates[begin].key {
			end++
		}
		err = f.put(w, updates[begin:end], seen, &out)
		begin = end
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return out, fmt.Errorf("write table: %w", err)
	}
	return out, nil
}

// read returns what b has, in the order in which it came.
func (b *fillBucket) read() ([]raw, error) {
	data := make([]byte, b.written)
	if _, err := io.ReadFull(io.NewSectionReader(b.file, 0, b.written), data); err != nil {
		return nil, err
	}
	const head = 1 + KeyBytes + 4
	var out []raw
	for len(data) > 0 {
		if len(data) < head {
			return nil, errCut
		}
		end := head + int(binary.BigEndian.Uint32(data[1+KeyBytes:]))
		if len(data) < end {
			return nil, errCut
		}
		out = append(out, raw{key: Key(data[1 : 1+KeyBytes]), kind: data[0], value: data[head:end:end]})
		data = data[end:]
	}
	return out, nil
}

// put writes what updates, all of one key, come to.
func (f *Fill) put(w *sstable.Writer, updates []raw, seen *filter, out *filled) error {
	k, value := updates[0].key, updates[0].value
	if len(updates) > 1 || updates[0].kind != fillReady {
		r, err := f.merged(updates)
		if err != nil || !r.found {
			return err
		}
		if value = appendState(nil, r.state); r.behind {
			out.behind = append(out.behind, k)
		}
	}
	if ofPattern(value) {
		state, err := decodeState(k, value)
		if err != nil {
			return err
		}
		if out.patterns == nil {
			out.patterns = map[Key]row{}
		}
		out.patterns[k] = row{state: state, found: true}
	}
	out.keys++
	seen.add(k)
	return w.Set(stateKey(nil, k), value)
}

// merged applies updates of one key as Merge would.
func (f *Fill) merged(updates []raw) (r row, err error) {
	for _, raw := range updates {
		u := Update{Key: raw.key, FromTopic: true, Purge: raw.kind == fillPurge}
		if !u.Purge {
			if u.State, err = decodeState(raw.key, raw.value); err != nil {
				return row{}, err
			}
		}
		r, _ = r.apply(u, f.store.made)
		r.behind = r.found && (r.behind || raw.kind == fillBehind)
	}
	return r, nil
}
