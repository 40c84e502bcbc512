//go:build linux

package clickhttp

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// bodyBytesMax bounds a request's body as sent and an INSERT's data as decoded:
// they are held in memory until the engine has read them. Drivers send blocks of
// some MiB; a dump of this size is better loaded in parts.
const bodyBytesMax = 1 << 30

// decode undoes a Content-Encoding. The closer, if any, frees the decoder.
func decode(encoding string, body io.Reader) (io.Reader, io.Closer, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, nil, nil
	case "gzip", "x-gzip":
		r, err := gzip.NewReader(bufio.NewReader(body))
		if err != nil {
			return nil, nil, exception(codeIncorrectData, "read gzip body: %v", err)
		}
		return r, r, nil
	case "deflate":
		return decodeDeflate(body)
	case "br":
		return brotli.NewReader(body), nil, nil
	case "zstd":
		r, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(bodyBytesMax))
		if err != nil {
			return nil, nil, exception(codeIncorrectData, "read zstd body: %v", err)
		}
		return r, r.IOReadCloser(), nil
	case "lz4":
		return lz4.NewReader(body), nil, nil
	}
	return nil, nil, exception(codeNotImplemented, "Content-Encoding %q is not one of gzip, deflate, br, zstd, lz4", encoding)
}

// decodeDeflate reads deflate with the zlib header that the standard asks for, or
// without, as some clients send it.
func decodeDeflate(body io.Reader) (io.Reader, io.Closer, error) {
	b := bufio.NewReader(body)
	// A body too short to have a header fails below.
	head, _ := b.Peek(2)
	if len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		r, err := zlib.NewReader(b)
		if err != nil {
			return nil, nil, exception(codeIncorrectData, "read deflate body: %v", err)
		}
		return r, r, nil
	}
	r := flate.NewReader(b)
	return r, r, nil
}

// encoders are the Content-Encodings of results, best first.
var encoders = []struct {
	name string
	open func(io.Writer) (io.WriteCloser, error)
}{
	{"zstd", func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)) }},
	{"br", func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriterLevel(w, brotli.BestSpeed), nil }},
	{"lz4", func(w io.Writer) (io.WriteCloser, error) { return lz4.NewWriter(w), nil }},
	{"gzip", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }},
	{"deflate", func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriterLevel(w, zlib.BestSpeed) }},
}

// encode applies the best encoding that accepted, an Accept-Encoding, names. It
// returns its name, or "" and w itself when there is none.
func encode(accepted string, w io.Writer) (string, io.Writer, io.Closer, error) {
	offered := map[string]bool{}
	for _, item := range strings.Split(accepted, ",") {
		name, quality, _ := strings.Cut(item, ";")
		if q := strings.ReplaceAll(quality, " ", ""); q == "q=0" || q == "q=0.0" {
			continue
		}
		offered[strings.ToLower(strings.TrimSpace(name))] = true
	}
	for _, e := range encoders {
		if !offered[e.name] {
			continue
		}
		encoder, err := e.open(w)
		if err != nil {
			return "", nil, nil, fmt.Errorf("encode result as %s: %w", e.name, err)
		}
		return e.name, encoder, encoder, nil
	}
	return "", w, nil, nil
}
