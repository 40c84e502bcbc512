package table

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

const (
	// writeBytes is what is written at once.
	writeBytes = 1 << 20

	// flushBytes is after how much the disk is waited for: all at the end would keep the
	// writes of others waiting.
	flushBytes = 64 << 20
)

// Writer makes a file. It is for one goroutine.
type Writer struct {
	path    string
	file    *os.File
	out     *bufio.Writer
	buckets uint64
	offsets []uint64 // where each bucket so far begins
	content []byte   // of the last of them
	written uint64   // the end of the one before
	flushed uint64
	keys    uint64
	last    Key
}

// ErrOrder says that a key does not come after the one before.
var ErrOrder = errors.New("keys are not in order")

// Create begins a file for about keys keys. It is at path, and whole, once Finish has
// returned nil.
func Create(path string, keys int64) (*Writer, error) {
	w := &Writer{path: path, buckets: uint64(max(keys/bucketKeys, 1))}
	w.offsets = make([]uint64, 1, w.buckets+1)
	var err error
	if w.file, err = os.Create(path + ".part"); err != nil {
		return nil, fmt.Errorf("make table: %w", err)
	}
	w.out = bufio.NewWriterSize(w.file, writeBytes)
	return w, nil
}

// Add takes a value, which is not kept. Its key comes after all before it.
func (w *Writer) Add(k Key, value []byte) error {
	if w.keys > 0 && bytes.Compare(k[:], w.last[:]) <= 0 {
		return ErrOrder
	}
	if err := w.endBefore(bucketOf(&k, w.buckets)); err != nil {
		return err
	}
	w.content = append(w.content, k[:]...)
	w.content = binary.AppendUvarint(w.content, uint64(len(value)))
	w.content = append(w.content, value...)
	w.last = k
	w.keys++
	return nil
}

// endBefore ends the buckets before bucket.
func (w *Writer) endBefore(bucket uint64) error {
	for n := uint64(len(w.offsets) - 1); n < bucket; n++ {
		w.content = binary.LittleEndian.AppendUint32(w.content, sumOf(n, w.content))
		if _, err := w.out.Write(w.content); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
		w.written += uint64(len(w.content))
		w.offsets = append(w.offsets, w.written)
		w.content = w.content[:0]
	}
	if w.written-w.flushed < flushBytes {
		return nil
	}
	w.flushed = w.written
	return w.sync()
}

func (w *Writer) sync() error {
	if err := errors.Join(w.out.Flush(), w.file.Sync()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// Finish makes the file durable and gives it its name. Close is to be called anyway.
func (w *Writer) Finish() error {
	if err := w.endBefore(w.buckets); err != nil {
		return err
	}
	var end []byte
	for _, offset := range w.offsets {
		end = binary.LittleEndian.AppendUint64(end, offset)
	}
	end = binary.LittleEndian.AppendUint32(end, crc32.Checksum(end, sums))
	foot := binary.LittleEndian.AppendUint64(nil, w.buckets)
	foot = append(binary.LittleEndian.AppendUint64(foot, w.keys), magic...)
	foot = binary.LittleEndian.AppendUint32(foot, crc32.Checksum(foot, sums))
	if _, err := w.out.Write(append(end, foot...)); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	if err := w.sync(); err != nil {
		return err
	}
	if err := os.Rename(w.file.Name(), w.path); err != nil {
		return fmt.Errorf("name table: %w", err)
	}
	return syncFolder(filepath.Dir(w.path))
}

// Close removes what is not finished.
func (w *Writer) Close() error {
	err := w.file.Close()
	if gone := os.Remove(w.file.Name()); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("name table: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("name table: %w", err)
	}
	return nil
}
