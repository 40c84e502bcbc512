package clickhouse_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

const benchRows = 50_000

// benchRow is a row of the shape of an event: a key, a time, a few words out of
// few, two identifiers and the bulk.
type benchRow struct {
	id            uint64
	at            time.Time
	kind, domain  string
	message, bulk string
}

func benchRowsOf() []benchRow {
	rows := make([]benchRow, benchRows)
	bulk := strings.Repeat(`{"event":"sent","MessageID":19421777835146490}`, 12)
	for i := range rows {
		rows[i] = benchRow{
			uint64(i), time.UnixMilli(1_767_225_600_000 + int64(i)), []string{"delivered", "opened", "bounced"}[i%3],
			fmt.Sprintf("d%d.example", i%500), fmt.Sprint(19421777835146490 + i), bulk,
		}
	}
	return rows
}

// BenchmarkInsert compares ways to get rows into a block and over the wire, to a
// server that throws them away: docs/decisions/0003.
func BenchmarkInsert(b *testing.B) {
	rows := benchRowsOf()
	for _, way := range []struct {
		name   string
		insert func(*testing.B, clickhouse.Config, []benchRow)
	}{
		{"own columns", insertOwn},
		{"driver, columns", insertDriverColumns},
		{"driver, rows", insertDriverRows},
	} {
		b.Run(way.name, func(b *testing.B) {
			var sent atomic.Int64
			cfg := silentServer(b, &sent)
			b.ReportAllocs()
			way.insert(b, cfg, rows)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchRows), "ns/row")
		})
	}
}

func insertOwn(b *testing.B, cfg clickhouse.Config, rows []benchRow) {
	c := open(b, cfg)
	id, at := new(proto.ColUInt64), new(proto.ColDateTime64).WithPrecision(proto.PrecisionMilli)
	kind, domain := new(proto.ColStr).LowCardinality(), new(proto.ColStr).LowCardinality()
	message, bulk := new(proto.ColStr), new(proto.ColStr)
	block := []clickhouse.Column{
		{Name: "id", Data: id}, {Name: "at", Data: at}, {Name: "kind", Data: kind}, {Name: "domain", Data: domain},
		{Name: "message", Data: message}, {Name: "bulk", Data: bulk},
	}
	for b.Loop() {
		for _, col := range block {
			col.Data.(proto.Resettable).Reset()
		}
		for _, r := range rows {
			id.Append(r.id)
			at.Append(r.at)
			kind.Append(r.kind)
			domain.Append(r.domain)
			message.Append(r.message)
			bulk.Append(r.bulk)
		}
		if err := c.Insert(b.Context(), insertSQL, block); err != nil {
			b.Fatal(err)
		}
	}
}

func driverBatch(b *testing.B, conn driver.Conn) (interface {
	Append(v ...any) error
	Send() error
}, func(i int) interface{ Append(any) error }) {
	ctx := driver.Context(b.Context(), driver.WithColumnNamesAndTypes([]driver.ColumnNameAndType{
		{Name: "id", Type: "UInt64"}, {Name: "at", Type: "DateTime64(3)"}, {Name: "kind", Type: "LowCardinality(String)"},
		{Name: "domain", Type: "LowCardinality(String)"}, {Name: "message", Type: "String"}, {Name: "bulk", Type: "String"},
	}))
	batch, err := conn.PrepareBatch(ctx, insertSQL)
	if err != nil {
		b.Fatal(err)
	}
	return batch, func(i int) interface{ Append(any) error } { return batch.Column(i) }
}

func openDriver(b *testing.B, cfg clickhouse.Config) driver.Conn {
	conn, err := driver.Open(&driver.Options{
		Protocol: driver.HTTP, Addr: []string{strings.TrimPrefix(cfg.URL, "http://")},
		Auth:        driver.Auth{Username: cfg.Username, Password: cfg.Password.Reveal()},
		Compression: &driver.Compression{Method: driver.CompressionLZ4},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
	})
	return conn
}

func insertDriverRows(b *testing.B, cfg clickhouse.Config, rows []benchRow) {
	conn := openDriver(b, cfg)
	for b.Loop() {
		batch, _ := driverBatch(b, conn)
		for _, r := range rows {
			if err := batch.Append(r.id, r.at, r.kind, r.domain, r.message, r.bulk); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
	}
}

func insertDriverColumns(b *testing.B, cfg clickhouse.Config, rows []benchRow) {
	conn := openDriver(b, cfg)
	var ids []uint64
	var ats []time.Time
	var texts [4][]string
	for b.Loop() {
		ids, ats = ids[:0], ats[:0]
		for i := range texts {
			texts[i] = texts[i][:0]
		}
		for _, r := range rows {
			ids, ats = append(ids, r.id), append(ats, r.at)
			for i, v := range []string{r.kind, r.domain, r.message, r.bulk} {
				texts[i] = append(texts[i], v)
			}
		}
		batch, column := driverBatch(b, conn)
		for i, values := range []any{ids, ats, texts[0], texts[1], texts[2], texts[3]} {
			if err := column(i).Append(values); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
	}
}
