package store

import (
	"encoding/binary"
	"math/bits"
)

// sipHash is SipHash-2-4 under the key of zeroes, as ClickHouse's sipHash64 of one text.
func sipHash(text []byte) uint64 {
	s := sipState{0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573}
	last := uint64(len(text)) << 56
	for ; len(text) >= 8; text = text[8:] {
		s.word(binary.LittleEndian.Uint64(text))
	}
	for i, c := range text {
		last |= uint64(c) << (8 * i)
	}
	s.word(last)
	s[2] ^= 0xff
	for range 4 {
		s.round()
	}
	return s[0] ^ s[1] ^ s[2] ^ s[3]
}

// sipHashes is sipHash64 of several texts.
func sipHashes(first []byte, others ...[]byte) uint64 {
	sum := sipHash(first)
	for _, text := range others {
		var both [16]byte
		binary.LittleEndian.PutUint64(both[:], sum)
		binary.LittleEndian.PutUint64(both[8:], sipHash(text))
		sum = sipHash(both[:])
	}
	return sum
}

type sipState [4]uint64

// word takes in eight bytes.
func (s *sipState) word(w uint64) {
	s[3] ^= w
	s.round()
	s.round()
	s[0] ^= w
}

func (s *sipState) round() {
	s[0] += s[1]
	s[2] += s[3]
	s[1] = bits.RotateLeft64(s[1], 13) ^ s[0]
	s[3] = bits.RotateLeft64(s[3], 16) ^ s[2]
	s[0] = bits.RotateLeft64(s[0], 32)
	s[2] += s[1]
	s[0] += s[3]
	s[1] = bits.RotateLeft64(s[1], 17) ^ s[2]
	s[3] = bits.RotateLeft64(s[3], 21) ^ s[0]
	s[2] = bits.RotateLeft64(s[2], 32)
}
