package native_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	chproto "github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/mailstream/mailstream/devstack/engine/internal/native"
)

// revision is one that has both headers.
const revision = 54460

// block builds a block of two columns with a driver's own encoder.
func block(t testing.TB, revision uint64, rows int) []byte {
	t.Helper()
	b := chproto.NewBlock()
	for _, c := range [][2]string{{"s", "LowCardinality(String)"}, {"m", "Map(String, Array(Nullable(UInt32)))"}} {
		if err := b.AddColumn(c[0], column.Type(c[1])); err != nil {
			t.Fatal(err)
		}
	}
	for n := range rows {
		v := uint32(n)
		if err := b.Append(strings.Repeat("x", n%5), map[string][]*uint32{"k": {&v, nil}}); err != nil {
			t.Fatal(err)
		}
	}
	buffer := &proto.Buffer{}
	if err := b.Encode(buffer, revision); err != nil {
		t.Fatal(err)
	}
	return buffer.Buf
}

func TestRewrite_GivesWhatADriverWouldWrite(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	if err := native.Rewrite(&got, append(block(t, 0, 300), block(t, 0, 7)...), revision); err != nil {
		t.Fatal(err)
	}
	want := append(block(t, revision, 300), block(t, revision, 7)...)
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("rewrote to %d bytes, want %d", got.Len(), len(want))
	}
}

func TestRewrite_RefusesMalformedBlocks(t *testing.T) {
	t.Parallel()
	whole := block(t, 0, 300)
	for cut := 1; cut < len(whole); cut += 7 {
		if err := native.Rewrite(&bytes.Buffer{}, whole[:cut], revision); err == nil {
			t.Errorf("no error for %d of %d bytes", cut, len(whole))
		}
	}
	tests := []struct{ name, block string }{
		{"more columns than fit", "\xff\xff\xff\xff\x7f\x01"},
		{"more rows than fit", "\x01\xff\xff\xff\xff\x7f\x01a\x05UInt8"},
		{"string longer than the block", "\x01\x01\x01a\x06String\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{"array longer than the block", "\x01\x01\x01a\x0cArray(UInt8)\xff\xff\xff\xff\xff\xff\xff\xff"},
	}
	for _, tt := range tests {
		if err := native.Rewrite(&bytes.Buffer{}, []byte(tt.block), revision); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}

func TestRewrite_NamesTheTypeItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AggregateFunction(count)", "JSON", "Dynamic", "Array(Nosuch)", "FixedString(x)", "Decimal(99, 1)", "Map(String)", "Tuple(a", "LowCardinality()"} {
		in := append([]byte{1, 1, 1, 'a', byte(len(name))}, name+"\x00\x00\x00\x00\x00\x00\x00\x00"...)
		err := native.Rewrite(&bytes.Buffer{}, in, revision)
		if !errors.Is(err, native.ErrUnsupported) || !strings.Contains(err.Error(), `column "a"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add(block(f, 0, 20), uint64(revision))
	f.Add([]byte("\x01\x01\x01a\x0cArray(UInt8)\x01\x00\x00\x00\x00\x00\x00\x00\x05"), uint64(revision))
	f.Add([]byte("\x01\x02\x01v\x17Variant(String, UInt64)\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\x01a"), uint64(revision))
	f.Add([]byte("\x01\x02\x01d\x0eDecimal(76, 4)"), uint64(revision))
	f.Fuzz(func(t *testing.T, in []byte, revision uint64) {
		var plain, again, out bytes.Buffer
		if err := native.Rewrite(&plain, in, 0); err != nil {
			return
		}
		// Without new headers nothing changes but the spelling of the counts, and
		// headers are all that a revision adds.
		if err := native.Rewrite(&again, plain.Bytes(), 0); err != nil || !bytes.Equal(again.Bytes(), plain.Bytes()) {
			t.Errorf("second rewrite of %q: %q, %v", plain.Bytes(), again.Bytes(), err)
		}
		if err := native.Rewrite(&out, in, revision); err != nil || out.Len() < plain.Len() {
			t.Errorf("%d bytes became %d, %v", plain.Len(), out.Len(), err)
		}
	})
}
