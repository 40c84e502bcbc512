package store

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// text is a String column, kept as it goes over the wire: the length of a row,
// then its bytes. Encoding it is one copy.
type text struct {
	wire []byte
	rows int
}

// Append adds a row.
func (t *text) Append(v []byte) {
	t.wire = binary.AppendUvarint(t.wire, uint64(len(v)))
	t.wire = append(t.wire, v...)
	t.rows++
}

// Reset forgets the rows.
func (t *text) Reset() { t.wire, t.rows = t.wire[:0], 0 }

// Type is the column's type in a block.
func (t *text) Type() proto.ColumnType { return proto.ColumnTypeString }

// Rows returns how many rows there are.
func (t *text) Rows() int { return t.rows }

// EncodeColumn writes the rows.
func (t *text) EncodeColumn(b *proto.Buffer) { b.Buf = append(b.Buf, t.wire...) }

// WriteColumn writes the rows without a copy.
func (t *text) WriteColumn(w *proto.Writer) { w.ChainWrite(t.wire) }

// words is a LowCardinality(String) column: each distinct value once, and a
// number a row.
type words struct {
	index map[string]uint32
	dict  text
	keys  []uint32
	last  []byte // value of the latest row: most columns repeat themselves
	key   uint32 // its number
}

func newWords() *words { return &words{index: map[string]uint32{}} }

// Append adds a row.
func (w *words) Append(v []byte) {
	if len(w.keys) == 0 || !bytes.Equal(w.last, v) {
		w.key = w.number(v)
		w.last = append(w.last[:0], v...)
	}
	w.keys = append(w.keys, w.key)
}

func (w *words) number(v []byte) uint32 {
	key, ok := w.index[string(v)]
	if !ok {
		key = uint32(w.dict.rows)
		w.dict.Append(v)
		w.index[string(v)] = key
	}
	return key
}

// Reset forgets the rows and the dictionary: a value that no row has must not
// get into the next part.
func (w *words) Reset() {
	w.keys = w.keys[:0]
	w.dict.Reset()
	clear(w.index)
}

// Type is the column's type in a block.
func (w *words) Type() proto.ColumnType { return "LowCardinality(String)" }

// Rows returns how many rows there are.
func (w *words) Rows() int { return len(w.keys) }

// The header of a LowCardinality column (SerializationLowCardinality.cpp of
// ClickHouse): the version of its keys, and that its dictionary comes with it.
const (
	lowCardinalityVersion = 1
	lowCardinalityOwn     = 1 << 9
	lowCardinalityNew     = 1 << 10
)

// EncodeState writes what comes before the column.
func (w *words) EncodeState(b *proto.Buffer) { b.PutInt64(lowCardinalityVersion) }

// EncodeColumn writes dictionary and keys, the keys as narrow as they can be.
// Without rows, as inside of empty lists, there is neither.
func (w *words) EncodeColumn(b *proto.Buffer) {
	if len(w.keys) == 0 {
		return
	}
	width := 0 // binary logarithm of the bytes of a key
	for w.dict.rows > 1<<(8<<width) {
		width++
	}
	b.PutInt64(int64(width) | lowCardinalityOwn | lowCardinalityNew)
	b.PutInt64(int64(w.dict.rows))
	w.dict.EncodeColumn(b)
	b.PutInt64(int64(len(w.keys)))
	start := len(b.Buf)
	b.Buf = append(b.Buf, make([]byte, len(w.keys)<<width)...)
	putKeys(b.Buf[start:], w.keys, width)
}

func putKeys(out []byte, keys []uint32, width int) {
	switch width {
	case 0:
		for i, k := range keys {
			out[i] = byte(k)
		}
	case 1:
		for i, k := range keys {
			binary.LittleEndian.PutUint16(out[2*i:], uint16(k))
		}
	default:
		for i, k := range keys {
			binary.LittleEndian.PutUint32(out[4*i:], k)
		}
	}
}

// WriteColumn is EncodeColumn for a writer.
func (w *words) WriteColumn(out *proto.Writer) { out.ChainBuffer(w.EncodeColumn) }

// lists makes an Array of a column: the rows of it up to which each list reaches.
type lists struct {
	ends  proto.ColUInt64
	items items
}

// items is a column that holds what is inside others.
type items interface {
	proto.ColInput
	proto.Resettable
}

// close ends the list of the present row: it has what was appended to items
// since the last close.
func (l *lists) close() { l.ends = append(l.ends, uint64(l.items.Rows())) }

// Reset forgets the lists and their items.
func (l *lists) Reset() {
	l.ends = l.ends[:0]
	l.items.Reset()
}

// Type is the column's type in a block.
func (l *lists) Type() proto.ColumnType { return proto.ColumnTypeArray.Sub(l.items.Type()) }

// Rows returns how many lists there are.
func (l *lists) Rows() int { return len(l.ends) }

// EncodeState writes what comes before the column.
func (l *lists) EncodeState(b *proto.Buffer) {
	if s, ok := l.items.(proto.StateEncoder); ok {
		s.EncodeState(b)
	}
}

// EncodeColumn writes the ends, then the items.
func (l *lists) EncodeColumn(b *proto.Buffer) {
	l.ends.EncodeColumn(b)
	l.items.EncodeColumn(b)
}

// WriteColumn is EncodeColumn for a writer.
func (l *lists) WriteColumn(w *proto.Writer) { w.ChainBuffer(l.EncodeColumn) }

// flags is a Nullable(Bool) column.
type flags struct {
	nulls  proto.ColUInt8
	values proto.ColBool
}

// Append adds a row; value does not matter unless known.
func (f *flags) Append(value, known bool) {
	null := byte(1)
	if known {
		null = 0
	}
	f.nulls = append(f.nulls, null)
	f.values = append(f.values, value && known)
}

// Reset forgets the rows.
func (f *flags) Reset() { f.nulls, f.values = f.nulls[:0], f.values[:0] }

// Type is the column's type in a block.
func (f *flags) Type() proto.ColumnType { return "Nullable(Bool)" }

// Rows returns how many rows there are.
func (f *flags) Rows() int { return len(f.nulls) }

// EncodeColumn writes which rows are NULL, then the values.
func (f *flags) EncodeColumn(b *proto.Buffer) {
	f.nulls.EncodeColumn(b)
	f.values.EncodeColumn(b)
}

// WriteColumn is EncodeColumn for a writer.
func (f *flags) WriteColumn(w *proto.Writer) { w.ChainBuffer(f.EncodeColumn) }

// moments is a DateTime64(3, 'UTC') column of Unix milliseconds, nullable if
// nulls is not nil.
type moments struct {
	ms    proto.ColInt64
	nulls *proto.ColUInt8
}

func newMaybeMoments() *moments { return &moments{nulls: new(proto.ColUInt8)} }

// Append adds a row.
func (m *moments) Append(ms int64) { m.append(ms, 0) }

// AppendTime adds t; a zero t is NULL, or 1970 where the column has no NULLs.
func (m *moments) AppendTime(t time.Time) {
	if t.IsZero() {
		m.append(0, 1)
		return
	}
	m.append(t.UnixMilli(), 0)
}

func (m *moments) append(ms int64, null byte) {
	m.ms = append(m.ms, ms)
	if m.nulls != nil {
		*m.nulls = append(*m.nulls, null)
	}
}

// Reset forgets the rows.
func (m *moments) Reset() {
	m.ms = m.ms[:0]
	if m.nulls != nil {
		*m.nulls = (*m.nulls)[:0]
	}
}

// Type is the column's type in a block.
func (m *moments) Type() proto.ColumnType {
	if m.nulls != nil {
		return "Nullable(DateTime64(3, 'UTC'))"
	}
	return "DateTime64(3, 'UTC')"
}

// Rows returns how many rows there are.
func (m *moments) Rows() int { return len(m.ms) }

// EncodeColumn writes which rows are NULL, where any may be, then the values.
func (m *moments) EncodeColumn(b *proto.Buffer) {
	if m.nulls != nil {
		m.nulls.EncodeColumn(b)
	}
	m.ms.EncodeColumn(b)
}

// WriteColumn is EncodeColumn for a writer.
func (m *moments) WriteColumn(w *proto.Writer) { w.ChainBuffer(m.EncodeColumn) }
