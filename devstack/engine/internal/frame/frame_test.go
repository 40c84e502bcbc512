package frame_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/ClickHouse/ch-go/compress"

	"github.com/mailstream/mailstream/devstack/engine/internal/frame"
)

func framed(t testing.TB, method string, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := frame.NewWriter(&out, method)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReader_ReadsWhatWriterWrote(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"", "LZ4", "lz4hc", "ZSTD", "NONE"} {
		for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 5 << 20} {
			plain := bytes.Repeat([]byte("a;b\x00"), size/4+1)[:size]
			got, err := io.ReadAll(frame.NewReader(bytes.NewReader(framed(t, method, plain))))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %d bytes: read %d, %v", method, size, len(got), err)
			}
		}
	}
}

func TestReader_ReadsFramesOfADriver(t *testing.T) {
	t.Parallel()
	w := compress.NewWriter(compress.LevelZero, compress.ZSTD)
	if err := w.Compress([]byte("one")); err != nil {
		t.Fatal(err)
	}
	in := bytes.Clone(w.Data)
	if err := w.Compress([]byte("two")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(frame.NewReader(bytes.NewReader(append(in, w.Data...))))
	if err != nil || string(got) != "onetwo" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestReader_RefusesAStreamThatIsCut(t *testing.T) {
	t.Parallel()
	whole := framed(t, "LZ4", []byte("some data"))
	for cut := 1; cut < len(whole); cut++ {
		if _, err := io.ReadAll(frame.NewReader(bytes.NewReader(whole[:cut]))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: %v, want ErrUnexpectedEOF", cut, len(whole), err)
		}
	}
}

func TestReader_RefusesAChangedByte(t *testing.T) {
	t.Parallel()
	whole := framed(t, "LZ4", bytes.Repeat([]byte("some data"), 20))
	for i := range whole {
		changed := bytes.Clone(whole)
		changed[i] ^= 0x10
		if _, err := io.ReadAll(frame.NewReader(bytes.NewReader(changed))); err == nil {
			t.Errorf("byte %d of %d changed: no error", i, len(whole))
		}
	}
}

func TestNewWriter_RefusesAnUnknownMethod(t *testing.T) {
	t.Parallel()
	if _, err := frame.NewWriter(io.Discard, "snappy"); err == nil {
		t.Error("no error")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(framed(f, "LZ4", []byte("some data")))
	f.Add(framed(f, "ZSTD", []byte("some data")))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, in []byte) {
		// The checksum keeps chance out; what gets through must be whole frames.
		_, _ = io.Copy(io.Discard, frame.NewReader(bytes.NewReader(in)))
	})
}
