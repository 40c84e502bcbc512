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
	key      []byte // room for the one that is written
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
	if err := p.copied.close(); err != nil { // before the states: it lacks them
		return err
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
	err := p.copied.use(nil, 0, nil, 0)
	p.copied.wantIfOld(all.keys)
	return err
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
	err = cmp.Or(err, w.Set([]byte(metaTable), nil)) // no copy has these states
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("write positions: %w", err)
	}
	return nil
}

// raws are the updates of a bucket. What is sorted has no pointers, so the collector does
// not look at it, and little is moved.
type raws struct {
	data  []byte
	order []rawAt
}

// rawAt is where an update begins, with the first bytes of its key.
type rawAt struct {
	head uint64
	at   uint32
}

// rawHeadBytes are the kind, the key and the length of the value.
const rawHeadBytes = 1 + KeyBytes + 4

func (r raws) kind(i int) byte { return r.data[r.order[i].at] }
func (r raws) key(i int) Key   { return Key(r.data[r.order[i].at+1:]) }

func (r raws) value(i int) []byte {
	head := r.data[r.order[i].at:]
	return head[rawHeadBytes : rawHeadBytes+binary.BigEndian.Uint32(head[1+KeyBytes:])]
}

// sort orders updates by key, and those of one key as they came.
func (r raws) sort() {
	slices.SortFunc(r.order, func(a, b rawAt) int {
		if c := cmp.Compare(a.head, b.head); c != 0 {
			return c
		}
		return cmp.Or(bytes.Compare(r.data[a.at+1:][:KeyBytes], r.data[b.at+1:][:KeyBytes]), cmp.Compare(a.at, b.at))
	})
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
	updates.sort()
	w, err := f.table(f.path(bucket, "sst"))
	if err != nil {
		return out, err
	}
	for begin, n := 0, len(updates.order); begin < n && err == nil; {
		end := begin + 1
		for end < n && updates.order[end].head == updates.order[begin].head && updates.key(end) == updates.key(begin) {
			end++
		}
		err = f.put(w, raws{updates.data, updates.order[begin:end]}, seen, &out)
		begin = end
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return out, fmt.Errorf("write table: %w", err)
	}
	return out, nil
}

// read returns what b has, in the order in which it came.
func (b *fillBucket) read() (r raws, err error) {
	r.data = make([]byte, b.written)
	if _, err := io.ReadFull(io.NewSectionReader(b.file, 0, b.written), r.data); err != nil {
		return r, err
	}
	for at := 0; at < len(r.data); {
		rest := r.data[at:]
		if len(rest) < rawHeadBytes {
			return r, errCut
		}
		size := rawHeadBytes + int(binary.BigEndian.Uint32(rest[1+KeyBytes:]))
		if len(rest) < size {
			return r, errCut
		}
		r.order = append(r.order, rawAt{binary.BigEndian.Uint64(rest[1:]), uint32(at)})
		at += size
	}
	return r, nil
}

// put writes what updates, all of one key, come to.
func (f *Fill) put(w *sstable.Writer, updates raws, seen *filter, out *filled) error {
	k, value := updates.key(0), updates.value(0)
	if len(updates.order) > 1 || updates.kind(0) != fillReady {
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
	out.key = stateKey(out.key[:0], k)
	return w.Set(out.key, value)
}

// merged applies updates of one key as Merge would.
func (f *Fill) merged(updates raws) (r row, err error) {
	for i := range updates.order {
		u := Update{Key: updates.key(i), FromTopic: true, Purge: updates.kind(i) == fillPurge}
		if !u.Purge {
			if u.State, err = decodeState(u.Key, updates.value(i)); err != nil {
				return row{}, err
			}
		}
		r, _ = r.apply(u, f.store.made)
		r.behind = r.found && (r.behind || updates.kind(i) == fillBehind)
	}
	return r, nil
}
