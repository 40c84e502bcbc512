// Package table keeps values of random keys in a file that is written once, in the order
// of the keys, and read through a mapping into memory: a value costs a fraction of a
// microsecond while the system has its page.
//
// It guarantees that what is not as it was written is said, never taken for a value or
// for a key that is absent. It does not know what the values mean, and changes none.
package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// KeyBytes is the size of a key.
const KeyBytes = 16

// Key is as good as random in its first 8 bytes.
type Key = [KeyBytes]byte

// ErrDamaged says that a file is not what was written, or cannot be read.
var ErrDamaged = errors.New("table is damaged")

const (
	// bucketKeys is how many keys share a bucket on average: a read sums up half a
	// kilobyte, and the directory takes 2 bytes a key.
	bucketKeys = 4

	// sumBytes are the sum behind each bucket and behind the directory.
	sumBytes = 4

	// offsetBytes is one entry of the directory: where a bucket begins.
	offsetBytes = 8

	// A file ends with the number of buckets, that of keys, magic, and a sum of these.
	footBytes = 8 + 8 + len(magic) + sumBytes

	magic = "mstable1"
)

var sums = crc32.MakeTable(crc32.Castagnoli)

// bucketOf returns the bucket of k, of n. A larger key has no lower bucket.
func bucketOf(k *Key, n uint64) uint64 {
	bucket, _ := bits.Mul64(binary.BigEndian.Uint64(k[:8]), n)
	return bucket
}

// sumOf is that of the content of a bucket, which is in no other place.
func sumOf(bucket uint64, content []byte) uint32 {
	return crc32.Update(uint32(bucket)^uint32(bucket>>32), sums, content)
}

// Table is an open file. It is safe for concurrent use.
type Table struct {
	data      []byte // the file: mapped
	directory []byte // of data: the offset of each bucket, and of the end of the last
	buckets   uint64
	keys      int64
}

// Open opens what a Writer has finished. The error is ErrDamaged where it is not such a file.
func Open(path string) (t *Table, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }() // the mapping stays
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	if info.Size() < int64(footBytes) || info.Size() > int64(^uint(0)>>1) {
		return nil, fmt.Errorf("open table: %w: it has %d bytes", ErrDamaged, info.Size())
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map table: %w", err)
	}
	t = &Table{data: data}
	if err := guarded(t.readEnd); err != nil {
		return nil, errors.Join(fmt.Errorf("open table: %w", err), t.Close())
	}
	return t, nil
}

// readEnd finds the directory.
func (t *Table) readEnd() error {
	foot := t.data[len(t.data)-footBytes:]
	said := foot[:footBytes-sumBytes]
	if string(said[16:]) != magic || binary.LittleEndian.Uint32(foot[len(said):]) != crc32.Checksum(said, sums) {
		return fmt.Errorf("%w: its end is missing", ErrDamaged)
	}
	t.buckets, t.keys = binary.LittleEndian.Uint64(said), int64(binary.LittleEndian.Uint64(said[8:]))
	space := uint64(len(t.data) - footBytes)
	if t.buckets == 0 || t.keys < 0 || t.buckets > space/offsetBytes || (t.buckets+1)*offsetBytes+sumBytes > space {
		return fmt.Errorf("%w: it says that it has %d buckets", ErrDamaged, t.buckets)
	}
	end := space - sumBytes
	t.directory = t.data[end-(t.buckets+1)*offsetBytes : end]
	if binary.LittleEndian.Uint32(t.data[end:]) != crc32.Checksum(t.directory, sums) {
		return fmt.Errorf("%w: its directory is malformed", ErrDamaged)
	}
	return nil
}

// Close lets go of the file. Nobody may use the table, or a value of it, any more.
func (t *Table) Close() error {
	if err := unix.Munmap(t.data); err != nil {
		return fmt.Errorf("unmap table: %w", err)
	}
	t.data, t.directory = nil, nil
	return nil
}

// Len returns the number of keys.
func (t *Table) Len() int64 { return t.keys }

// Bytes returns the size of the file, and of the memory that it takes when the system has
// all of its pages.
func (t *Table) Bytes() int64 { return int64(len(t.data)) }

// Each calls found with the value of each of keys that has one, in their order; a value is
// only to be read, and not after found has returned. It ends with the error of found, or ErrDamaged.
func (t *Table) Each(keys func(yield func(i int, k *Key) bool), found func(i int, value []byte) error) error {
	return guarded(func() (err error) {
		for i, k := range keys {
			var value []byte
			if value, err = t.find(k); err == nil && value != nil {
				err = found(i, value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Part calls yield with the keys and values of the n-th of parts, in the order of keys, as
// long as it returns nil. It reads every byte: what is damaged is found.
func (t *Table) Part(n, parts int, yield func(k Key, value []byte) error) error {
	return guarded(func() error {
		for b := t.buckets * uint64(n) / uint64(parts); b < t.buckets*uint64(n+1)/uint64(parts); b++ {
			content, err := t.bucket(b)
			for len(content) > 0 && err == nil {
				var k *Key
				var value []byte
				if k, value, content, err = next(content); err == nil {
					err = yield(*k, value)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// find returns the value of k; it is not nil where there is one.
func (t *Table) find(k *Key) ([]byte, error) {
	content, err := t.bucket(bucketOf(k, t.buckets))
	for len(content) > 0 && err == nil {
		var is *Key
		var value []byte
		if is, value, content, err = next(content); err == nil && *is == *k {
			return value, nil
		}
	}
	return nil, err
}

// bucket returns the content of a bucket.
func (t *Table) bucket(n uint64) ([]byte, error) {
	at := t.directory[n*offsetBytes:]
	begin, end := binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint64(at[offsetBytes:])
	if end > uint64(len(t.data)) || begin > end || end-begin < sumBytes {
		return nil, fmt.Errorf("%w: bucket %d is said to be from %d to %d", ErrDamaged, n, begin, end)
	}
	content := t.data[begin : end-sumBytes]
	if binary.LittleEndian.Uint32(t.data[end-sumBytes:]) != sumOf(n, content) {
		return nil, fmt.Errorf("%w: bucket %d", ErrDamaged, n)
	}
	return content, nil
}

// next takes the first key and value off the content of a bucket.
func next(content []byte) (k *Key, value, rest []byte, err error) {
	if len(content) > KeyBytes {
		size, n := binary.Uvarint(content[KeyBytes:])
		if rest = content[KeyBytes+max(n, 0):]; n > 0 && size <= uint64(len(rest)) {
			return (*Key)(content), rest[:size:size], rest[size:], nil
		}
	}
	return nil, nil, nil, fmt.Errorf("%w: a value is cut", ErrDamaged)
}

// guarded returns ErrDamaged where read touches a page that the system cannot read: the
// disk has a fault, or the file became shorter. Without it the process would end.
func guarded(read func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if fault := recover(); fault != nil {
			if _, ok := fault.(interface{ Addr() uintptr }); !ok {
				panic(fault)
			}
			err = fmt.Errorf("%w: a page cannot be read", ErrDamaged)
		}
	}()
	return read()
}
