package engine_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

// BenchmarkEngine/start is the time from New to the first answer.
func BenchmarkEngine_Start(b *testing.B) {
	for b.Loop() {
		e := run(b, nil)
		b.ReportMetric(float64(residentBytes(b, e.Process()))/(1<<20), "MiB-resident")
		if err := e.stop(b); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEngine_SelectOne is the latency of the smallest query, one at a time,
// through a driver.
func BenchmarkEngine_SelectOne(b *testing.B) {
	conn := connect(b, enginetest.Start(b).URL(), "default", nil)
	var one uint8
	for b.Loop() {
		if err := conn.QueryRow(b.Context(), "SELECT 1").Scan(&one); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEngine_Insert sends blocks of a table with ten columns, Native and LZ4,
// prepared beforehand as far as the driver allows.
func BenchmarkEngine_Insert(b *testing.B) {
	const rows = 50_000
	e := enginetest.Start(b)
	conn := connect(b, e.URL(), enginetest.Database(b), nil)
	if err := conn.Exec(b.Context(), `CREATE TABLE t (id UUID, type LowCardinality(String), at DateTime64(3), source LowCardinality(String),
		recipient String, hash FixedString(32), reason LowCardinality(String), code UInt16, reply String, tags Array(String)) ENGINE = MergeTree ORDER BY (type, at)`); err != nil {
		b.Fatal(err)
	}
	var spent time.Duration
	for b.Loop() {
		batch := filled(b, conn, rows)
		began := time.Now()
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
		spent += time.Since(began)
	}
	b.ReportMetric(float64(rows*b.N)/spent.Seconds(), "rows/s")
	b.ReportMetric(float64(residentBytes(b, e.Process()))/(1<<20), "MiB-resident")
}

func filled(b *testing.B, conn clickhouse.Conn, rows int) interface{ Send() error } {
	b.Helper()
	batch, err := conn.PrepareBatch(b.Context(), "INSERT INTO t")
	if err != nil {
		b.Fatal(err)
	}
	for n := range rows {
		err := batch.Append(fmt.Sprintf("018f3c5e-7b1a-8d3e-9f10-%012x", n), "delivered", time.UnixMilli(1_700_000_000_000+int64(n)), "acme",
			fmt.Sprintf("user%d@example.test", n), strings.Repeat("a", 32), "other", uint16(250), "250 2.0.0 OK queued as 4F1234", []string{"a", "b"})
		if err != nil {
			b.Fatal(err)
		}
	}
	return batch
}

// residentBytes is the resident memory of a process.
func residentBytes(tb testing.TB, process int) int64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", process))
	if err != nil {
		tb.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		tb.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
