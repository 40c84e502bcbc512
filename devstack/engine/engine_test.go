package engine_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m, os.Args)) }

func TestEngine_ServesADriver(t *testing.T) {
	e := enginetest.Start(t)
	db := enginetest.Database(t)
	opt, err := clickhouse.ParseDSN(e.URL() + "/" + db)
	if err != nil {
		t.Fatal(err)
	}
	opt.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	conn, err := clickhouse.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := context.Background()
	start := time.Now()
	if err := conn.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	t.Log("ping", time.Since(start))
	if err := conn.Exec(ctx, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := batch.Append(uint64(i), "a;b\n\x00'"); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM t WHERE s = {s:String}", clickhouse.Named("s", "a;b\n\x00'")).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 1000 {
		t.Errorf("count = %d", n)
	}
}
