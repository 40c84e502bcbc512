// Package native rewrites blocks of ClickHouse's Native format from the oldest
// protocol revision, in which the embedded engine writes them, to the revision an
// HTTP client asked for with client_protocol_version.
//
// The values of a column are the same in every revision: only the header of a
// block and of a column differ. So the package walks over the values without
// decoding them, and hands them on uncopied. It guarantees that what it writes is
// a whole number of blocks, and that malformed input is an error, not a panic. It
// refuses types whose values have no length prefix (aggregate function states)
// and the self-describing ones (Dynamic, JSON), whose layout differs between
// revisions.
package native

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Revisions of the protocol at which the headers changed.
const (
	revisionBlockInfo           = 51903
	revisionCustomSerialization = 54454
)

// Limits on what a block may claim; the engine stays far below them.
const (
	columnsMax    = 100_000
	rowsMax       = 1 << 30
	typeDepthMax  = 64
	typeLengthMax = 1 << 20
)

// ErrUnsupported says that a column's type cannot be rewritten.
var ErrUnsupported = errors.New("type is not supported in Native results over HTTP by the embedded engine")

// errShort says that a block ends before its values do.
var errShort = errors.New("block is cut short")

// blockInfo is what NativeWriter sends before a block: field 1 (is_overflows)
// false, field 2 (bucket_num) -1, end.
var blockInfo = []byte{1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0}

// Rewrite reads whole blocks of revision 0 from blocks and writes them to w as
// revision. Errors other than those of w wrap ErrUnsupported or say where the
// blocks are malformed; then the blocks before the failing one are written.
func Rewrite(w io.Writer, blocks []byte, revision uint64) error {
	for n := 0; len(blocks) > 0; n++ {
		parts, rest, err := rewriteBlock(blocks, revision)
		if err != nil {
			return fmt.Errorf("rewrite block %d: %w", n, err)
		}
		for _, part := range parts {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		blocks = rest
	}
	return nil
}

// rewriteBlock returns the parts of the first block as revision wants them, and
// what follows the block.
func rewriteBlock(block []byte, revision uint64) (parts [][]byte, rest []byte, err error) {
	c := &cursor{rest: block}
	columns, err := c.count(columnsMax)
	if err != nil {
		return nil, nil, err
	}
	rows, err := c.count(rowsMax)
	if err != nil {
		return nil, nil, err
	}
	var head []byte
	if revision >= revisionBlockInfo {
		head = append(head, blockInfo...)
	}
	head = binary.AppendUvarint(head, uint64(columns))
	head = binary.AppendUvarint(head, uint64(rows))
	for range columns {
		start := c.rest
		name, err := c.text()
		if err != nil {
			return nil, nil, fmt.Errorf("column name: %w", err)
		}
		typeName, err := c.text()
		if err != nil {
			return nil, nil, fmt.Errorf("type of column %q: %w", name, err)
		}
		head = append(head, start[:len(start)-len(c.rest)]...)
		if revision >= revisionCustomSerialization {
			head = append(head, 0) // the default serialization
		}
		if rows == 0 {
			continue
		}
		of, err := parseType(string(typeName), 0)
		if err != nil {
			return nil, nil, fmt.Errorf("column %q: %w", name, err)
		}
		start = c.rest
		if err := skipColumn(of, c, rows); err != nil {
			return nil, nil, fmt.Errorf("values of column %q %s: %w", name, typeName, err)
		}
		parts = append(parts, head, start[:len(start)-len(c.rest)])
		head = nil
	}
	return append(parts, head), c.rest, nil
}

// cursor reads from the front of rest.
type cursor struct {
	rest []byte
}

// skip moves over n values of size bytes.
func (c *cursor) skip(n, size int) error {
	if n < 0 || size > 0 && n > len(c.rest)/size {
		return errShort
	}
	c.rest = c.rest[n*size:]
	return nil
}

// count reads a varint that must not exceed limit.
func (c *cursor) count(limit int) (int, error) {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		return 0, errShort
	}
	if v > uint64(limit) {
		return 0, fmt.Errorf("count %d exceeds %d", v, limit)
	}
	c.rest = c.rest[n:]
	return int(v), nil
}

// number reads a little-endian 64-bit number.
func (c *cursor) number() (uint64, error) {
	if len(c.rest) < 8 {
		return 0, errShort
	}
	v := binary.LittleEndian.Uint64(c.rest)
	c.rest = c.rest[8:]
	return v, nil
}

// text reads a string with its length before it.
func (c *cursor) text() ([]byte, error) {
	n, err := c.count(typeLengthMax)
	if err != nil {
		return nil, err
	}
	if n > len(c.rest) {
		return nil, errShort
	}
	v := c.rest[:n]
	c.rest = c.rest[n:]
	return v, nil
}
