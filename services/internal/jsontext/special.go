package jsontext

import (
	"encoding/binary"
	"math/bits"
)

// Masks of eight bytes each, for arithmetic on all of them at once.
const (
	ones        = 0x0101010101010101
	highs       = 0x8080808080808080
	quotes      = '"' * ones
	backslashes = '\\' * ones
	spaces      = ' ' * ones
)

// special returns the index of the first byte from i on that does not stand for
// itself in a string: a quote, a backslash or a control character; len(data)
// when there is none. Strings are most of what is read, so it takes eight bytes
// at a time.
func special(data []byte, i int) int {
	for ; i+8 <= len(data); i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		quote, backslash := w^quotes, w^backslashes
		// A byte that is 0 after the xor, or below the space, borrows from its own
		// highest bit. A borrow may reach further up, never down, so the lowest mark
		// is right.
		marks := ((quote - ones) &^ quote) | ((backslash - ones) &^ backslash) | ((w - spaces) &^ w)
		if marks &= highs; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for ; i < len(data); i++ {
		if c := data[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}
