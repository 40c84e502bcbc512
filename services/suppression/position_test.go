package suppression_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"encoding/binary"
	"path/filepath"
)

// forgetTail makes every position of a store 1,000 records further than it is,
// as if the brokers had lost the end of the topic.
func forgetTail(tb testing.TB, dir string) {
	tb.Helper()
	db, err := pebble.Open(filepath.Join(dir, "suppressions.pebble"), &pebble.Options{Logger: quietLog{}})
	if err != nil {
		tb.Fatal(err)
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("a"), UpperBound: []byte("b")})
	if err != nil {
		tb.Fatal(err)
	}
	moved := 0
	for ok := it.First(); ok; ok = it.Next() {
		offset, _ := binary.Varint(it.Value())
		if err := db.Set(it.Key(), binary.AppendVarint(nil, offset+1000), pebble.Sync); err != nil {
			tb.Fatal(err)
		}
		moved++
	}
	if err := it.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	if moved == 0 {
		tb.Fatal("the store has no positions")
	}
}

type quietLog struct{}

func (quietLog) Infof(string, ...any)  {}
func (quietLog) Errorf(string, ...any) {}
func (quietLog) Fatalf(string, ...any) {}
