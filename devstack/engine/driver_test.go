package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

// allTypes has a column of every kind that a table of ours may have, and some more.
const allTypes = `CREATE TABLE all_types (
	n UInt64, i Int8, big Int128, f Float64, b Bool, d Decimal(18, 4),
	s String, fs FixedString(3), u UUID, ip IPv4, ip6 IPv6,
	day Date, at DateTime, at64 DateTime64(3, 'UTC'),
	e Enum8('one' = 1, 'it''s, (two)' = 2),
	lc LowCardinality(String), lcn LowCardinality(Nullable(String)), ns Nullable(String),
	arr Array(String), nested Array(Array(LowCardinality(String))), m Map(String, UInt32),
	tup Tuple(a UInt8, b Array(Nullable(Int32))), sag SimpleAggregateFunction(max, UInt64),
	mlc Map(LowCardinality(String), Array(UInt8))
) ENGINE = MergeTree ORDER BY n`

type allRow struct {
	N      uint64             `ch:"n"`
	I      int8               `ch:"i"`
	F      float64            `ch:"f"`
	B      bool               `ch:"b"`
	S      string             `ch:"s"`
	FS     string             `ch:"fs"`
	U      uuid.UUID          `ch:"u"`
	IP     net.IP             `ch:"ip"`
	Day    time.Time          `ch:"day"`
	At     time.Time          `ch:"at"`
	At64   time.Time          `ch:"at64"`
	E      string             `ch:"e"`
	LC     string             `ch:"lc"`
	LCN    *string            `ch:"lcn"`
	NS     *string            `ch:"ns"`
	Arr    []string           `ch:"arr"`
	Nested [][]string         `ch:"nested"`
	M      map[string]uint32  `ch:"m"`
	Tup    map[string]any     `ch:"tup"`
	SAG    uint64             `ch:"sag"`
	MLC    map[string][]uint8 `ch:"mlc"`
}

// row makes the n-th row: with everything that could be taken for the end of
// something, and every third value missing.
func row(n int) allRow {
	text := fmt.Sprintf("a;b\n\x00'\"\\ %d; SELECT 1 -- \xff", n)
	r := allRow{
		N: uint64(n), I: int8(n), F: float64(n) / 3, B: n%2 == 0, S: strings.Repeat(text, n%5), FS: "a;\x00",
		U: uuid.MustParse("018f3c5e-7b1a-8d3e-9f10-000000000000"), IP: net.IPv4(10, 0, 0, byte(n)).To4(),
		Day: time.Date(2026, 1, 1+n%28, 0, 0, 0, 0, time.UTC), At: time.Unix(1_700_000_000+int64(n), 0).UTC(),
		At64: time.UnixMilli(1_700_000_000_123 + int64(n)).UTC(), E: "it's, (two)",
		LC: fmt.Sprint("key", n%7), Arr: []string{}, Nested: [][]string{{}, {"x", text}},
		M: map[string]uint32{"a;": 1, "b": uint32(n)}, Tup: map[string]any{"a": uint8(n), "b": []*int32{nil}},
		SAG: uint64(n), MLC: map[string][]uint8{"k": {1, 2}},
	}
	if n%3 != 0 {
		r.LCN, r.NS, r.Arr = &r.LC, &text, []string{text, ""}
	}
	return r
}

func TestDriver_ReadsBackEveryTypeItWrote(t *testing.T) {
	e := enginetest.Start(t)
	compressions := []struct {
		name   string
		method clickhouse.CompressionMethod
	}{
		{"none", clickhouse.CompressionNone},
		{"lz4", clickhouse.CompressionLZ4},
		{"zstd", clickhouse.CompressionZSTD},
		{"gzip", clickhouse.CompressionGZIP},
		{"deflate", clickhouse.CompressionDeflate},
		{"br", clickhouse.CompressionBrotli},
	}
	for _, tt := range compressions {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, e.URL(), enginetest.Database(t), func(o *clickhouse.Options) {
				o.Compression = &clickhouse.Compression{Method: tt.method, Level: 3}
			})
			roundTrip(t, conn)
		})
	}
}

// roundTrip writes rows of all types and compares what it reads.
func roundTrip(t *testing.T, conn clickhouse.Conn) {
	t.Helper()
	ctx := t.Context()
	if err := conn.Exec(ctx, allTypes); err != nil {
		t.Fatal(err)
	}
	const rows = 3000
	columns := "n, i, f, b, s, fs, u, ip, day, at, at64, e, lc, lcn, ns, arr, nested, m, tup, sag, mlc"
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO all_types ("+columns+")")
	if err != nil {
		t.Fatal(err)
	}
	var want []allRow
	for n := range rows {
		r := row(n)
		want = append(want, r)
		if err := batch.AppendStruct(&r); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	var got []allRow
	// Small blocks, so that there are many to put together.
	if err := conn.Select(ctx, &got, "SELECT "+columns+" FROM all_types ORDER BY n SETTINGS max_block_size = 700"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%.4000s", diff)
	}
	var total, bytes uint64
	if err := conn.QueryRow(ctx, "SELECT count(), sum(length(s)) FROM all_types").Scan(&total, &bytes); err != nil {
		t.Fatal(err)
	}
	if total != rows || bytes == 0 {
		t.Errorf("count() = %d, sum of lengths = %d", total, bytes)
	}
}

func TestDriver_BindsParameters(t *testing.T) {
	conn := connect(t, enginetest.Start(t).URL(), "default", nil)
	nasty := "it's; \\ \n\t\"{x:String}\""
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{
		"n": "42", "ids": "[1,2,3]", "table": "one",
	}))
	var n uint8
	var ids []uint32
	err := conn.QueryRow(ctx, "SELECT {n:UInt8}, {ids:Array(UInt32)} FROM system.{table:Identifier}").Scan(&n, &ids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint32{1, 2, 3}, ids); diff != "" || n != 42 {
		t.Errorf("n = %d, ids (-want +got):\n%s", n, diff)
	}
	var s string
	if err := conn.QueryRow(t.Context(), "SELECT {s:String}", clickhouse.Named("s", nasty)).Scan(&s); err != nil {
		t.Fatal(err)
	}
	if s != nasty {
		t.Errorf("parameter came back as %q, want %q", s, nasty)
	}
	if err := conn.QueryRow(t.Context(), "SELECT ?", nasty).Scan(&s); err != nil {
		t.Fatal(err)
	}
	if s != nasty {
		t.Errorf("positional parameter came back as %q, want %q", s, nasty)
	}
}

func TestDriver_SeesCodesOfErrors(t *testing.T) {
	e := enginetest.Start(t)
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionGZIP} {
		conn := connect(t, e.URL(), "default", func(o *clickhouse.Options) {
			o.Compression = &clickhouse.Compression{Method: method, Level: 3}
		})
		tests := []struct {
			name, sql string
			code      int32
			status    int
		}{
			{"syntax", "SELEC 1", 62, 400},
			{"unknown table", "SELECT * FROM nosuch", 60, 404},
			{"unknown column", "SELECT nosuch FROM system.one", 47, 404},
			{"while it runs", "SELECT throwIf(number = 9) FROM numbers(10)", 395, 500},
			{"unset parameter", "SELECT {a:String}", 456, 400},
			{"time limit", "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1 SETTINGS max_execution_time = 0.2", 159, 408},
			{"memory limit", "SELECT groupArray(toString(number)) FROM numbers(100000000) SETTINGS max_memory_usage = 10000000", 241, 500},
		}
		for _, tt := range tests {
			t.Run(method.String()+"/"+tt.name, func(t *testing.T) {
				rows, err := conn.Query(t.Context(), tt.sql)
				if err == nil {
					rows.Close()
				}
				var exception *clickhouse.Exception
				if !errors.As(err, &exception) || exception.Code != tt.code {
					t.Fatalf("error %v, want code %d", err, tt.code)
				}
				var status *clickhouse.HTTPError
				if !errors.As(err, &status) || status.StatusCode != tt.status {
					t.Errorf("error %v, want status %d", err, tt.status)
				}
			})
		}
	}
}

func TestDriver_SeesAnErrorInTheMiddleOfAResult(t *testing.T) {
	conn := connect(t, enginetest.Start(t).URL(), "default", nil)
	rows, err := conn.Query(t.Context(), "SELECT number, throwIf(number = 3000000) FROM numbers(4000000)")
	if err != nil {
		t.Fatalf("the error came before the result: %v", err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	var exception *clickhouse.Exception
	if !errors.As(rows.Err(), &exception) || exception.Code != 395 {
		t.Errorf("after %d rows: %v, want code 395", n, rows.Err())
	}
	if n < 100_000 || n > 3_000_000 {
		t.Errorf("read %d rows before the error", n)
	}
}

func TestDriver_WritesAndReadsInParallel(t *testing.T) {
	e := enginetest.Start(t)
	db := enginetest.Database(t)
	conn := connect(t, e.URL(), db, func(o *clickhouse.Options) { o.MaxOpenConns = 40 })
	if err := conn.Exec(t.Context(), "CREATE TABLE p (worker UInt32, n UInt32) ENGINE = MergeTree ORDER BY (worker, n)"); err != nil {
		t.Fatal(err)
	}
	const workers, batches, rows = 32, 5, 100 // more workers than queries run at once
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for range batches {
				if err := insertPairs(t.Context(), conn, worker, rows); err != nil {
					t.Error(err)
				}
				var n uint64
				if err := conn.QueryRow(t.Context(), "SELECT count() FROM p WHERE worker = {w:UInt32}", clickhouse.Named("w", worker)).Scan(&n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got, want := enginetest.Exec(t, e, "SELECT count(), uniqExact(worker) FROM "+db+".p"), fmt.Sprintf("%d\t%d", workers*batches*rows, workers); got != want {
		t.Errorf("rows and workers = %q, want %q", got, want)
	}
}

func insertPairs(ctx context.Context, conn clickhouse.Conn, worker, rows int) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO p")
	if err != nil {
		return err
	}
	for n := range rows {
		if err := batch.Append(uint32(worker), uint32(n)); err != nil {
			return err
		}
	}
	return batch.Send()
}

func TestDriver_DeduplicatesByToken(t *testing.T) {
	e := enginetest.Start(t)
	db := enginetest.Database(t)
	conn := connect(t, e.URL(), db, nil)
	if err := conn.Exec(t.Context(), "CREATE TABLE p (worker UInt32, n UInt32) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100"); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"a", "a", "b"} {
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token}))
		if err := insertPairs(ctx, conn, 1, 10); err != nil {
			t.Fatal(err)
		}
	}
	if got := enginetest.Exec(t, e, "SELECT count() FROM "+db+".p"); got != "20" {
		t.Errorf("count() = %s, want 20", got)
	}
}
