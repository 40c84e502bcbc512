package clickhouse_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

const insertSQL = "-- Why.\nINSERT INTO t (id, name)\n"

func open(tb testing.TB, cfg clickhouse.Config) *clickhouse.Client {
	tb.Helper()
	c, err := clickhouse.Open(cfg, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func block(ids []uint64, names []string) []clickhouse.Column {
	id, name := proto.ColUInt64(ids), new(proto.ColStr)
	for _, n := range names {
		name.Append(n)
	}
	return []clickhouse.Column{{Name: "id", Data: &id}, {Name: "name", Data: name}}
}

func TestInsert_StoresTheBlockExactly(t *testing.T) {
	t.Parallel()
	srv := clickhousetest.Start(t)
	c := open(t, srv.Config())
	big := strings.Repeat("x", 3<<20) // several compressed frames
	if err := c.Insert(t.Context(), insertSQL, block([]uint64{1, 1<<64 - 1}, []string{"", big})); err != nil {
		t.Fatal(err)
	}
	want := []clickhousetest.Row{{"id": uint64(1), "name": ""}, {"id": uint64(1<<64 - 1), "name": big}}
	if diff := cmp.Diff(want, srv.Rows("t")); diff != "" {
		t.Errorf("rows (-want +got):\n%.2000s", diff)
	}
}

func TestInsert_SeveralBlocksAreOneRequest(t *testing.T) {
	t.Parallel()
	srv := clickhousetest.Start(t)
	c := open(t, srv.Config())
	err := c.Insert(t.Context(), insertSQL, block([]uint64{1, 2}, []string{"a", "b"}), block(nil, nil), block([]uint64{3}, []string{"c"}))
	if err != nil {
		t.Fatal(err)
	}
	if req := lastInsert(t, srv); req.Rows != 3 || len(srv.Rows("t")) != 3 {
		t.Errorf("%d rows in the request, %d stored, want 3", req.Rows, len(srv.Rows("t")))
	}
	before := len(srv.Requests())
	err = c.Insert(t.Context(), insertSQL, block([]uint64{4}, []string{"d"}), block([]uint64{5, 6}, []string{"e"}))
	if !errors.Is(err, clickhouse.ErrBlock) || len(srv.Requests()) != before {
		t.Errorf("a bad block beside a good one: %v, %d requests", err, len(srv.Requests())-before)
	}
	if err := c.Insert(t.Context(), insertSQL, block(nil, nil)); err != nil || len(srv.Requests()) != before {
		t.Errorf("no rows: %v, %d requests", err, len(srv.Requests())-before)
	}
}

func TestInsert_SaysEverySettingItDependsOn(t *testing.T) {
	t.Parallel()
	srv := clickhousetest.Start(t)
	c := open(t, srv.Config())
	if err := c.Insert(t.Context(), insertSQL, block([]uint64{1}, []string{"a"})); err != nil {
		t.Fatal(err)
	}
	got := lastInsert(t, srv).Settings
	for name, want := range map[string]string{
		"async_insert": "0", "insert_deduplicate": "0", "deduplicate_insert": "disable",
		"deduplicate_blocks_in_dependent_materialized_views": "0", "max_partitions_per_insert_block": "0",
		"database": "mailstream", "decompress": "1",
	} {
		if got[name] != want {
			t.Errorf("setting %s is %q, want %q", name, got[name], want)
		}
	}
}

func lastInsert(t *testing.T, srv *clickhousetest.Server) clickhousetest.Request {
	t.Helper()
	requests := srv.Requests()
	for i := len(requests) - 1; i >= 0; i-- {
		if strings.Contains(requests[i].Statement, "INSERT") {
			return requests[i]
		}
	}
	t.Fatal("there was no insert")
	return clickhousetest.Request{}
}

func TestInsert_LeavesOutSettingsTheServerDoesNotKnow(t *testing.T) {
	t.Parallel()
	srv := clickhousetest.Start(t)
	srv.Settings("async_insert", "insert_deduplicate")
	c := open(t, srv.Config())
	if err := c.Insert(t.Context(), insertSQL, block([]uint64{1}, []string{"a"})); err != nil {
		t.Fatal(err)
	}
	srv.Settings("async_insert") // a rollback of the server, or another replica
	if err := c.Insert(t.Context(), insertSQL, block([]uint64{2}, []string{"b"})); fate.Of(err) != fate.Retry || err == nil {
		t.Fatalf("got %v, want an error that passes", err)
	}
	if err := c.Insert(t.Context(), insertSQL, block([]uint64{2}, []string{"b"})); err != nil {
		t.Fatalf("second attempt: %v", err)
	}
	if n := len(srv.Rows("t")); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// Inserts at once need several connections, each of which introduces itself by
// a query of its own under the insert's context.
func TestInsert_RunsInParallel(t *testing.T) {
	t.Parallel()
	srv := clickhousetest.Start(t)
	c := open(t, srv.Config())
	var wg sync.WaitGroup
	for n := range uint64(20) {
		wg.Go(func() {
			if err := c.Insert(t.Context(), insertSQL, block([]uint64{n}, []string{"a"})); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(srv.Rows("t")); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
}

// silentServer answers every insert with 200, as ClickHouse does to a body
// without rows, and notes how many bytes came.
func silentServer(t testing.TB, bytes *atomic.Int64) clickhouse.Config {
	srv := clickhousetest.Start(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("query") == "" {
			srv.ServeHTTP(w, r)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		bytes.Add(n)
	}))
	t.Cleanup(front.Close)
	cfg := srv.Config()
	cfg.URL = front.URL
	return cfg
}

// The driver's own batches lose a block that cannot be encoded and say nothing:
// the first half reproduces it, the second shows that ours do not. When the
// first half fails, the driver has been mended and docs/decisions/0003 may be
// looked at again.
func TestInsert_BlockThatCannotBeEncodedIsAnError(t *testing.T) {
	t.Parallel()
	t.Run("driver batch loses it", func(t *testing.T) {
		t.Parallel()
		var bytes atomic.Int64
		cfg := silentServer(t, &bytes)
		conn, err := driver.Open(&driver.Options{
			Protocol: driver.HTTP, Addr: []string{strings.TrimPrefix(cfg.URL, "http://")},
			Auth:        driver.Auth{Username: cfg.Username, Password: cfg.Password.Reveal()},
			Compression: &driver.Compression{Method: driver.CompressionLZ4},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx := driver.Context(t.Context(), driver.WithColumnNamesAndTypes([]driver.ColumnNameAndType{{Name: "id", Type: "UInt64"}, {Name: "name", Type: "String"}}))
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (id, name)")
		if err != nil {
			t.Fatal(err)
		}
		if err := batch.Column(0).Append([]uint64{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		if err := batch.Column(1).Append([]string{"a"}); err != nil {
			t.Fatal(err)
		}
		if err := batch.Send(); err != nil || bytes.Load() != 0 {
			t.Errorf("Send returned %v after %d bytes: the hole is closed in the driver", err, bytes.Load())
		}
	})
	t.Run("ours does not", func(t *testing.T) {
		t.Parallel()
		var bytes atomic.Int64
		c := open(t, silentServer(t, &bytes))
		for _, tt := range []struct {
			name  string
			block []clickhouse.Column
		}{
			{"columns of unequal length", block([]uint64{1, 2, 3}, []string{"a"})},
			{"column that fails to encode", []clickhouse.Column{{Name: "id", Data: unpreparable{}}}},
		} {
			err := c.Insert(t.Context(), insertSQL, tt.block)
			if !errors.Is(err, clickhouse.ErrBlock) || fate.Of(err) != fate.Halt {
				t.Errorf("%s: got %v, want ErrBlock with the fate halt", tt.name, err)
			}
		}
		if n := bytes.Load(); n != 0 {
			t.Errorf("%d bytes were sent", n)
		}
	})
}

// unpreparable is a column whose encoding fails in the middle of the block.
type unpreparable struct{ proto.ColUInt8 }

func (unpreparable) Rows() int      { return 1 }
func (unpreparable) Prepare() error { return errors.New("no dictionary") }

var _ column.Interface // the driver's columns are not used for inserts

func TestInsert_ErrorsHaveFates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault clickhousetest.Fault
		is    error
		fate  fate.Fate
	}{
		{"network ends after storing", clickhousetest.Fault{Cut: true}, nil, fate.Retry},
		{"exception behind a 200", clickhousetest.Fault{Code: 241, Late: true}, clickhouse.ErrTooLarge, fate.Retry},
		{"too many parts", clickhousetest.Fault{Code: 252}, clickhouse.ErrTooManyParts, fate.Retry},
		{"memory limit", clickhousetest.Fault{Code: 241}, clickhouse.ErrTooLarge, fate.Retry},
		{"unknown table", clickhousetest.Fault{Code: 60}, clickhouse.ErrNoSchema, fate.Retry},
		{"unknown database", clickhousetest.Fault{Code: 81}, clickhouse.ErrNoSchema, fate.Retry},
		{"unknown column", clickhousetest.Fault{Code: 16}, clickhouse.ErrNoSchema, fate.Retry},
		{"wrong password", clickhousetest.Fault{Code: 516}, clickhouse.ErrDenied, fate.Halt},
		{"no grant", clickhousetest.Fault{Code: 497}, clickhouse.ErrDenied, fate.Halt},
		{"constraint", clickhousetest.Fault{Code: 469}, clickhouse.ErrRejected, fate.DeadLetter},
		{"bad data", clickhousetest.Fault{Code: 117}, clickhouse.ErrRejected, fate.DeadLetter},
		{"keeper away", clickhousetest.Fault{Code: 999}, nil, fate.Retry},
		{"anything else", clickhousetest.Fault{Code: 49}, nil, fate.Retry},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := clickhousetest.Start(t)
			srv.Fail(func(r clickhousetest.Request) clickhousetest.Fault {
				if strings.Contains(r.Statement, "INSERT") {
					return tt.fault
				}
				return clickhousetest.Fault{}
			})
			err := open(t, srv.Config()).Insert(t.Context(), insertSQL, block([]uint64{1}, []string{"a"}))
			if err == nil {
				t.Fatal("no error")
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want %v", err, tt.is)
			}
			if got := fate.Of(err); got != tt.fate {
				t.Errorf("fate of %v is %s, want %s", err, got, tt.fate)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

func TestInsert_GivesUpAfterItsTimeout(t *testing.T) {
	t.Parallel()
	srv := clickhousetest.Start(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	srv.Fail(func(r clickhousetest.Request) clickhousetest.Fault {
		if strings.Contains(r.Statement, "INSERT") {
			<-release
		}
		return clickhousetest.Fault{}
	})
	cfg := srv.Config()
	cfg.InsertTimeout = 50 * time.Millisecond
	err := open(t, cfg).Insert(t.Context(), insertSQL, block([]uint64{1}, []string{"a"}))
	if !errors.Is(err, context.DeadlineExceeded) || fate.Of(err) != fate.Retry {
		t.Errorf("got %v, want a passed deadline that is tried again", err)
	}
}

func TestOpen_ServerThatIsAwayIsTriedAgain(t *testing.T) {
	t.Parallel()
	cfg := clickhouse.Default()
	cfg.URL = "http://127.0.0.1:1"
	if err := open(t, cfg).Ping(t.Context()); err == nil || fate.Of(err) != fate.Retry {
		t.Errorf("got %v, want an error that passes", err)
	}
}
