package clickhouse

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	// connectionsMax bounds concurrent requests of one client: parallel inserts
	// and a few queries beside them.
	connectionsMax = 8
	// connectionLife is when a connection is made anew, so that a load balancer's
	// new target gets its share.
	connectionLife = 10 * time.Minute
)

// Client is a pool of connections to one database. It is safe for concurrent
// use.
type Client struct {
	cfg   Config
	log   *zap.Logger
	conn  driver.Conn
	tcp   *connections
	known *knownSettings
	met   *metrics
	pool  *bodyPool
}

// Open checks cfg and makes a client. It connects on first use.
func Open(cfg Config, log *zap.Logger, reg prometheus.Registerer) (*Client, error) {
	opt, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("configure clickhouse: %w", err)
	}
	met, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	tcp := &connections{}
	opt.TransportFunc = tcp.share
	conn, err := driver.Open(opt)
	if err != nil {
		return nil, fmt.Errorf("configure clickhouse: %w", err)
	}
	return &Client{cfg: cfg, log: log, conn: conn, tcp: tcp, known: &knownSettings{}, met: met, pool: newBodyPool()}, nil
}

// Close ends idle connections. Running calls end by their contexts.
func (c *Client) Close() error {
	err := c.conn.Close()
	c.tcp.close()
	return err
}

// connections are the TCP connections of one client. The driver makes a transport
// for each of its connections, and leaves it with its TCP connection open for
// connectionLife when the server refuses the first query; here all share the first.
type connections struct {
	mu     sync.Mutex
	shared *http.Transport // guarded by mu
}

// share is driver.Options.TransportFunc.
func (c *connections) share(t *http.Transport) (http.RoundTripper, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shared == nil {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = connectionsMax, connectionsMax
		c.shared = t
	}
	return framedBodies{c.shared}, nil
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shared != nil {
		c.shared.CloseIdleConnections()
	}
}

// Ping returns nil when the server answers queries on the database.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.QueryTimeout)
	defer cancel()
	return c.explain("ping", c.conn.Ping(ctx))
}

// Exec runs one statement that returns no rows and waits for its end. Args are
// bound by the server to {name:Type} in query; make them with Arg.
func (c *Client) Exec(ctx context.Context, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.QueryTimeout)
	defer cancel()
	return c.explain("execute statement", c.conn.Exec(ctx, query, args...))
}

// Select reads all rows of query into dest, a pointer to a slice of structs
// with `ch` tags. It is for small results.
func (c *Client) Select(ctx context.Context, dest any, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.QueryTimeout)
	defer cancel()
	return c.explain("query", c.conn.Select(ctx, dest, query, args...))
}

// Each reads the rows of query one by one: row gets each with its scan, which fills
// a pointer to a struct with `ch` tags. An error of row ends it and is returned. It
// is for results of any size, and as long as ctx lasts.
func (c *Client) Each(ctx context.Context, query string, row func(scan func(dest any) error) error, args ...any) error {
	rows, err := c.conn.Query(ctx, query, args...)
	if err != nil {
		return c.explain("query", err)
	}
	defer func() { _ = rows.Close() }() // what matters is in Err
	for rows.Next() {
		if err := row(rows.ScanStruct); err != nil {
			return err
		}
	}
	return c.explain("read rows", rows.Err())
}

// Limits bound one query at the server, which refuses to go beyond.
type Limits struct {
	Time       time.Duration // of execution
	RowsRead   int64         // before any filter but those by index
	RowsResult int64
	Memory     int64 // bytes
	Threads    int   // of execution; 0: as many as the server likes
	// ReadOnlyUser says that the user may only read, and so may not set that itself.
	ReadOnlyUser bool
}

// SelectWithin is Select for a query that may only read, within limits.
func (c *Client) SelectWithin(ctx context.Context, limits Limits, dest any, query string, args ...any) error {
	return c.Select(limits.Around(ctx), dest, query, args...)
}

// Around returns a context whose queries may only read, each within the limits.
func (limits Limits) Around(ctx context.Context) context.Context {
	settings := driver.Settings{
		"max_execution_time": int(limits.Time.Seconds()),
		"max_rows_to_read":   limits.RowsRead,
		"max_result_rows":    limits.RowsResult,
		"max_memory_usage":   limits.Memory,
	}
	if limits.Threads > 0 {
		settings["max_threads"] = limits.Threads
	}
	if !limits.ReadOnlyUser {
		settings["readonly"] = 2 // nothing is written; settings may come with the query
	}
	return driver.Context(ctx, driver.WithSettings(settings))
}

// Arg is the value of the parameter {name:Type} of a query.
func Arg(name string, value any) any { return driver.Named(name, value) }

func (c *Client) explain(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s at clickhouse: %w", operation, classify(err))
}

// Words renders words as the value of a parameter of type Array(String).
func Words(words []string) string {
	if len(words) == 0 {
		return "[]"
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + quote.Replace(w) + "'"
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// quote escapes a word within an array, whose text the server parses.
var quote = strings.NewReplacer(`\`, `\\`, `'`, `\'`)
