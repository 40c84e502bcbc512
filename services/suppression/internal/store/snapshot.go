package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"
)

const (
	// snapshotBufferBytes is what is written and read at once.
	snapshotBufferBytes = 256 << 10

	// snapshotLineBytesMax bounds the first line: a position a partition.
	snapshotLineBytesMax = 1 << 20

	// snapshotValueBytesMax bounds one state: Kafka takes no larger record.
	snapshotValueBytesMax = 16 << 20
)

// SnapshotFormat is that of a snapshot: of its frames, in tens of thousands, and of the
// values in them.
const SnapshotFormat = 10_000 + formatVersion

// SnapshotHead is the first line of a snapshot.
type SnapshotHead struct {
	Format  int       `json:"format"`   // SnapshotFormat
	TopicID string    `json:"topic_id"` // whose records made the states
	MadeAt  time.Time `json:"made_at"`
	// Applied are the offsets to read next: the states have all that is before.
	Applied map[int32]int64 `json:"applied"`
}

// The errors of a snapshot.
var (
	// ErrSnapshotCut says that a snapshot ends before its end. What came can be used, and
	// the rest asked for from Fill.Next on.
	ErrSnapshotCut = errors.New("the snapshot was cut off")
	// ErrSnapshotDamaged says that a snapshot is not what was written.
	ErrSnapshotDamaged = errors.New("the snapshot is damaged")
)

// WriteSnapshot writes all states from key from on, as they are at the call, to w. The
// caller sets the rest of head. No state is in it that was purged, and no address that was forgotten.
func (p *Pebble) WriteSnapshot(ctx context.Context, w io.Writer, from Key, head SnapshotHead) error {
	head.Format, head.Applied = SnapshotFormat, p.Applied() // before the states: what is newer is read once more
	behind := map[Key]bool{}
	for _, k := range p.Behind(behindMax) {
		behind[k] = true
	}
	out := &summed{w: w, sum: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	b := bufio.NewWriterSize(out, snapshotBufferBytes)
	if err := json.NewEncoder(b).Encode(head); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	var frame []byte
	err := p.iterate(ctx, from, func(k Key, value []byte) (bool, error) {
		kind := fillState
		if behind[k] {
			kind = fillBehind
		}
		frame = binary.BigEndian.AppendUint32(frame[:0], uint32(len(value))+1) // 0 is the end
		frame = append(append(append(frame, kind), k[:]...), value...)
		_, err := b.Write(frame)
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	_, err = b.Write([]byte{0, 0, 0, 0})
	if err = errors.Join(err, b.Flush()); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	if _, err = w.Write(out.sum.Sum(nil)); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

// summed keeps the sum of what is written.
type summed struct {
	w   io.Writer
	sum hash.Hash32
}

func (s *summed) Write(b []byte) (int, error) {
	_, _ = s.sum.Write(b) // a hash takes everything
	return s.w.Write(b)
}

// ReadSnapshot adds the states of a snapshot, once accept has taken its head. After
// ErrSnapshotCut another one, from Next on, may go on where this one ended.
func (f *Fill) ReadSnapshot(r io.Reader, accept func(SnapshotHead) error) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	in := bufio.NewReaderSize(r, snapshotBufferBytes)
	line, err := readLine(in)
	if err != nil {
		return err
	}
	_, _ = sum.Write(line) // a hash takes everything
	var head SnapshotHead
	if json.Unmarshal(line, &head) != nil {
		return fmt.Errorf("%w: it does not begin with the first line of a snapshot", ErrSnapshotDamaged)
	}
	if head.Format != SnapshotFormat {
		return fmt.Errorf("%w: it has format %d, this version reads %d", ErrSnapshotDamaged, head.Format, SnapshotFormat)
	}
	if err := accept(head); err != nil {
		return err
	}
	for {
		more, err := f.frame(in, sum)
		if err != nil || !more {
			return err
		}
	}
}

func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for len(line) < snapshotLineBytesMax {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return line, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, cut(err)
		}
	}
	return nil, fmt.Errorf("%w: its first line is longer than %d bytes", ErrSnapshotDamaged, snapshotLineBytesMax)
}

// frame adds one state; more is false at the end, where the sum has to be right.
func (f *Fill) frame(in *bufio.Reader, sum hash.Hash32) (more bool, err error) {
	var head [4 + 1 + KeyBytes]byte
	if _, err := io.ReadFull(in, head[:4]); err != nil {
		return false, cut(err)
	}
	_, _ = sum.Write(head[:4]) // a hash takes everything
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 {
		var want [crc32.Size]byte
		if _, err := io.ReadFull(in, want[:]); err != nil {
			return false, cut(err)
		}
		if !bytes.Equal(want[:], sum.Sum(nil)) {
			return false, fmt.Errorf("%w: its sum is wrong", ErrSnapshotDamaged)
		}
		return false, nil
	}
	if size--; size > snapshotValueBytesMax {
		return false, fmt.Errorf("%w: a state of %d bytes", ErrSnapshotDamaged, size)
	}
	if _, err := io.ReadFull(in, head[4:]); err != nil {
		return false, cut(err)
	}
	f.value = append(f.value[:0], make([]byte, size)...)
	if _, err := io.ReadFull(in, f.value); err != nil {
		return false, cut(err)
	}
	_, _ = sum.Write(head[4:]) // as above
	_, _ = sum.Write(f.value)  // as above
	return true, f.take(head[4], Key(head[5:]), f.value)
}

func (f *Fill) take(kind byte, k Key, value []byte) error {
	state, err := decodeState(k, value)
	if err != nil || kind != fillState && kind != fillBehind || f.more && k.Compare(f.last) <= 0 {
		return fmt.Errorf("%w: a state is malformed or not in order", ErrSnapshotDamaged)
	}
	if kind == fillState && isSettled(&state) {
		kind = fillReady
	}
	f.last, f.more = k, true
	f.added.Add(1)
	return f.add(k, kind, &state)
}

// Next returns from which key on the rest of a snapshot is missing.
func (f *Fill) Next() Key {
	if !f.more {
		return Key{}
	}
	next, _ := f.last.Next() // the last key there is comes once more, and is refused
	return next
}

// cut makes of the end of what is read that it came too early.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrSnapshotCut, err)
}
