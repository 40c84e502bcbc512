package store

import "github.com/ClickHouse/ch-go/proto"

// pairs is a Map(String, V) column: keys and values of all rows, and up to
// where each row reaches.
type pairs struct {
	ends   proto.ColUInt64
	keys   *text
	values items
}

// close ends the present row: it has what was appended since the last close.
func (p *pairs) close() { p.ends = append(p.ends, uint64(p.keys.rows)) }

// Reset forgets the rows.
func (p *pairs) Reset() {
	p.ends = p.ends[:0]
	p.keys.Reset()
	p.values.Reset()
}

// Type is the column's type in a block.
func (p *pairs) Type() proto.ColumnType {
	return proto.ColumnTypeMap.Sub(p.keys.Type(), p.values.Type())
}

// Rows returns how many rows there are.
func (p *pairs) Rows() int { return len(p.ends) }

// EncodeColumn writes the ends, the keys, the values.
func (p *pairs) EncodeColumn(b *proto.Buffer) {
	p.ends.EncodeColumn(b)
	p.keys.EncodeColumn(b)
	p.values.EncodeColumn(b)
}

// WriteColumn is EncodeColumn for a writer.
func (p *pairs) WriteColumn(w *proto.Writer) { w.ChainBuffer(p.EncodeColumn) }
