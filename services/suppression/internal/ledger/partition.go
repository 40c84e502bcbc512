package ledger

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// PartitionOf returns the partition of k's records. It is what Kafka's default
// partitioner makes of the record key, without the client's allocations: a bulk
// check asks for every address.
func (l *Ledger) PartitionOf(k store.Key) int32 {
	return partitionOf(k, l.opt.Partitions)
}

func partitionOf(k store.Key, partitions int32) int32 {
	var key [2 * store.KeyBytes]byte
	hex.Encode(key[:], k[:])
	return int32(murmur2(key[:])&0x7fffffff) % partitions
}

// murmur2 is the hash of Kafka's default partitioner
// (org.apache.kafka.common.utils.Utils), for keys whose length is a multiple of
// four, as that of a recipient hash is.
func murmur2(key []byte) uint32 {
	const seed, m = 0x9747b28c, 0x5bd1e995
	h := seed ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		w := binary.LittleEndian.Uint32(key) * m
		h = h*m ^ (w^w>>24)*m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
