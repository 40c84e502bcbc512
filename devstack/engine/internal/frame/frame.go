// Package frame reads and writes ClickHouse's own compression framing, which HTTP
// clients ask for with compress=1 and decompress=1: blocks of a CityHash128
// checksum, a method, two sizes and LZ4 or ZSTD data.
//
// It guarantees that a stream cut anywhere but between two frames is an error:
// without that, half an INSERT would pass as a whole one. It does not care what
// the bytes mean.
package frame

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
)

// The layout of a frame: 16 bytes of checksum, one of method, then the size of
// method, sizes and compressed data together, then the size of the plain data.
const (
	checksumSize = 16
	headerSize   = checksumSize + sizesSize
	sizesSize    = 9
)

// frameBytesMax bounds the compressed size of one frame. Drivers put a whole
// block into a frame; the decompressor takes no more.
const frameBytesMax = 128 << 20

// writeBytes is the plain size of the frames that Writer makes, the
// max_compress_block_size of a server.
const writeBytes = 1 << 20

// Reader returns the plain data of a stream of frames.
type Reader struct {
	from  *bufio.Reader
	raw   []byte
	plain *bytes.Reader
}

// NewReader returns a Reader of the frames in from.
func NewReader(from io.Reader) *Reader {
	return &Reader{from: bufio.NewReaderSize(from, 64<<10), plain: bytes.NewReader(nil)}
}

// Read implements io.Reader. A stream that ends inside a frame gives io.ErrUnexpectedEOF.
func (r *Reader) Read(p []byte) (int, error) {
	for r.plain.Len() == 0 {
		if err := r.readFrame(); err != nil {
			return 0, err
		}
	}
	return r.plain.Read(p)
}

// readFrame reads the next frame, or gives io.EOF where the stream ends before it.
func (r *Reader) readFrame() error {
	header, err := r.from.Peek(headerSize)
	if err != nil {
		if len(header) > 0 && errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	size := binary.LittleEndian.Uint32(header[checksumSize+1:])
	if size < sizesSize || size > frameBytesMax {
		return fmt.Errorf("frame of %d bytes is outside %d..%d", size, sizesSize, frameBytesMax)
	}
	plainSize := binary.LittleEndian.Uint32(header[checksumSize+5:])
	r.raw = append(r.raw[:0], make([]byte, checksumSize+int(size))...)
	if _, err := io.ReadFull(r.from, r.raw); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if plainSize == 0 {
		return nil
	}
	if plainSize > frameBytesMax {
		return fmt.Errorf("frame of %d plain bytes exceeds %d", plainSize, frameBytesMax)
	}
	plain := make([]byte, plainSize)
	if _, err := io.ReadFull(compress.NewReader(bytes.NewReader(r.raw)), plain); err != nil {
		return fmt.Errorf("decompress frame: %w", err)
	}
	r.plain.Reset(plain)
	return nil
}

// Writer frames what is written to it. Close writes the last frame.
type Writer struct {
	to         io.Writer
	compressor *compress.Writer
	plain      []byte
}

// NewWriter returns a Writer of frames to to, compressed by method: LZ4 (also for
// the empty name), LZ4HC, ZSTD or NONE, as in network_compression_method.
func NewWriter(to io.Writer, method string) (*Writer, error) {
	methods := map[string]compress.Method{
		"": compress.LZ4, "LZ4": compress.LZ4, "LZ4HC": compress.LZ4HC, "ZSTD": compress.ZSTD, "NONE": compress.None,
	}
	m, ok := methods[strings.ToUpper(method)]
	if !ok {
		return nil, fmt.Errorf("compression method %q is not one of LZ4, LZ4HC, ZSTD, NONE", method)
	}
	return &Writer{to: to, compressor: compress.NewWriter(compress.LevelZero, m)}, nil
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(len(p), writeBytes-len(w.plain))
		w.plain = append(w.plain, p[:n]...)
		p = p[n:]
		if len(w.plain) == writeBytes {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

// Close writes what is left. It does not close the underlying writer.
func (w *Writer) Close() error {
	if len(w.plain) == 0 {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if err := w.compressor.Compress(w.plain); err != nil {
		return fmt.Errorf("compress frame: %w", err)
	}
	w.plain = w.plain[:0]
	_, err := w.to.Write(w.compressor.Data)
	return err
}
