package store

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

const (
	// filterBitsPerKey gives about 0.5 % false answers when full: a check of an
	// unknown address, nearly all there are, then costs 40 ns instead of 7 us.
	filterBitsPerKey = 12

	// filterProbes is near the best for filterBitsPerKey, and 7 probes of 9 bits
	// are what one half of a key has.
	filterProbes = 7

	// filterBlockWords is one cache line of 512 bits: one miss a question.
	filterBlockWords = 8

	// filterKeysMin is the smallest capacity, 200 KB, so that small lists never
	// rebuild.
	filterKeysMin = 1 << 17
)

// filter is a blocked Bloom filter: has never says no to a key that was added.
// Keys are hashes already, so their bits are used as they are. It is safe for
// concurrent use without a lock.
type filter struct {
	words    []atomic.Uint64
	blocks   uint64
	capacity int64
}

func newFilter(capacity int64) *filter {
	capacity = max(capacity, filterKeysMin)
	blocks := (uint64(capacity)*filterBitsPerKey + 511) / 512
	return &filter{words: make([]atomic.Uint64, blocks*filterBlockWords), blocks: blocks, capacity: capacity}
}

func (f *filter) add(k Key) {
	base, probes := f.locate(k)
	for range filterProbes {
		f.words[base+probes>>6&7].Or(1 << (probes & 63))
		probes >>= 9
	}
}

func (f *filter) has(k Key) bool {
	base, probes := f.locate(k)
	for range filterProbes {
		if f.words[base+probes>>6&7].Load()&(1<<(probes&63)) == 0 {
			return false
		}
		probes >>= 9
	}
	return true
}

// locate returns the first word of k's block and the bits that choose within.
func (f *filter) locate(k Key) (base, probes uint64) {
	block, _ := bits.Mul64(binary.LittleEndian.Uint64(k[:8]), f.blocks)
	return block * filterBlockWords, binary.LittleEndian.Uint64(k[8:])
}

// bytes is the memory it takes.
func (f *filter) bytes() int64 { return int64(len(f.words)) * 8 }
