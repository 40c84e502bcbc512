package native

import (
	"encoding/binary"
	"fmt"
)

// column knows the layout of one type: the prefixes of the whole column come
// first, depth first, then the values.
type column interface {
	prefix(c *cursor) error
	values(c *cursor, rows int) error
}

// skipColumn moves over one column of rows values.
func skipColumn(of column, c *cursor, rows int) error {
	if err := of.prefix(c); err != nil {
		return err
	}
	return of.values(c, rows)
}

// fixed is a type whose values have all the same number of bytes.
type fixed int

func (fixed) prefix(*cursor) error               { return nil }
func (f fixed) values(c *cursor, rows int) error { return c.skip(rows, int(f)) }

// text is String.
type text struct{}

func (text) prefix(*cursor) error { return nil }

func (text) values(c *cursor, rows int) error {
	rest := c.rest
	for range rows {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return errShort
		}
		rest = rest[n+int(size):]
	}
	c.rest = rest
	return nil
}

// nullable is Nullable(of): a byte a row, then the values.
type nullable struct{ of column }

func (t nullable) prefix(c *cursor) error { return t.of.prefix(c) }

func (t nullable) values(c *cursor, rows int) error {
	if err := c.skip(rows, 1); err != nil {
		return err
	}
	return t.of.values(c, rows)
}

// array is Array(of): the offset behind each row's last element, then the elements.
type array struct{ of column }

func (t array) prefix(c *cursor) error { return t.of.prefix(c) }

func (t array) values(c *cursor, rows int) error {
	if rows == 0 {
		return nil
	}
	if err := c.skip(rows-1, 8); err != nil {
		return err
	}
	elements, err := c.number()
	if err != nil {
		return err
	}
	if elements > rowsMax {
		return fmt.Errorf("array of %d elements exceeds %d", elements, rowsMax)
	}
	return t.of.values(c, int(elements))
}

// tuple is Tuple(...) and everything that is stored as one.
type tuple []column

func (t tuple) prefix(c *cursor) error {
	for _, of := range t {
		if err := of.prefix(c); err != nil {
			return err
		}
	}
	return nil
}

func (t tuple) values(c *cursor, rows int) error {
	for _, of := range t {
		if err := of.values(c, rows); err != nil {
			return err
		}
	}
	return nil
}

// lowCardinality is LowCardinality(of): pieces of dictionary and indexes.
type lowCardinality struct{ of column }

// Flags and the width of the indexes of a piece.
const (
	indexWidthMask     = 0xff
	globalDictionary   = 1 << 8
	additionalKeys     = 1 << 9
	indexWidthLog2Max  = 3
	lowCardinalityKeys = 1 // version of the prefix
)

func (lowCardinality) prefix(c *cursor) error {
	version, err := c.number()
	if err == nil && version != lowCardinalityKeys {
		return fmt.Errorf("LowCardinality version %d: %w", version, ErrUnsupported)
	}
	return err
}

func (t lowCardinality) values(c *cursor, rows int) error {
	for rows > 0 {
		flags, err := c.number()
		if err != nil {
			return err
		}
		width := flags & indexWidthMask
		if width > indexWidthLog2Max || flags&globalDictionary != 0 {
			return fmt.Errorf("LowCardinality flags %#x: %w", flags, ErrUnsupported)
		}
		if flags&additionalKeys != 0 {
			keys, err := c.number()
			if err != nil {
				return err
			}
			if keys > rowsMax {
				return errShort
			}
			if err := t.of.values(c, int(keys)); err != nil {
				return err
			}
		}
		piece, err := c.number()
		if err != nil {
			return err
		}
		if piece == 0 || piece > uint64(rows) {
			return fmt.Errorf("LowCardinality piece of %d rows in %d", piece, rows)
		}
		if err := c.skip(int(piece), 1<<width); err != nil {
			return err
		}
		rows -= int(piece)
	}
	return nil
}

// variant is Variant(...): a discriminator a row, then the values of each type.
type variant []column

// variantNull is the discriminator of NULL.
const variantNull = 255

func (t variant) prefix(c *cursor) error {
	mode, err := c.number()
	if err != nil {
		return err
	}
	if mode != 0 {
		return fmt.Errorf("variant mode %d: %w", mode, ErrUnsupported)
	}
	return tuple(t).prefix(c)
}

func (t variant) values(c *cursor, rows int) error {
	if rows > len(c.rest) {
		return errShort
	}
	var counts [256]int
	for _, d := range c.rest[:rows] {
		counts[d]++
	}
	for d := len(t); d < variantNull; d++ {
		if counts[d] > 0 {
			return fmt.Errorf("variant discriminator %d of %d types", d, len(t))
		}
	}
	c.rest = c.rest[rows:]
	for d, of := range t {
		if err := of.values(c, counts[d]); err != nil {
			return err
		}
	}
	return nil
}
