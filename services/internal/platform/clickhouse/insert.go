package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// Column is one column of a block. The caller owns Data and may reuse it once
// Insert has returned.
type Column = proto.InputColumn

const (
	// nativeRevision is what ClickHouse's HTTP interface expects of a Native body:
	// the revision a client negotiates applies to answers only.
	nativeRevision = 0
	// frameBytesMax is the size of one compressed frame before compression, as the
	// server itself writes them (max_compress_block_size).
	frameBytesMax = 1 << 20
	// blockRowsMax is below the server's own limit for one block of an insert
	// (1,048,449 rows), so that one Insert is one block and one part a partition.
	blockRowsMax = 1_000_000
)

// Insert stores one block through statement, "INSERT INTO table (columns)", and
// returns nil only when the server has stored all of it. The block is encoded
// and compressed whole before anything is sent: a block that cannot be encoded
// is an error here, never an empty request. An insert of several partitions is
// not atomic; the caller repeats it until it succeeds.
func (c *Client) Insert(ctx context.Context, statement string, block []Column) error {
	rows, err := blockRows(block)
	if err != nil || rows == 0 {
		return c.explain("insert", err)
	}
	start := time.Now()
	body := c.pool.get()
	defer c.pool.put(body)
	if err := body.encode(rows, block); err != nil {
		return c.explain("insert", err)
	}
	if err := c.send(ctx, statement, body.bytes()); err != nil {
		c.met.insertsFailed.Inc()
		return err
	}
	c.met.stored(rows, len(body.bytes()), time.Since(start))
	return nil
}

func (c *Client) send(ctx context.Context, statement string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.InsertTimeout)
	defer cancel()
	settings, err := c.known.get(ctx, c)
	if err != nil {
		return err
	}
	ctx = driver.Context(ctx, driver.WithSettings(settings))
	err = c.explain("insert", c.conn.InsertFormat(ctx, "Native", statement, bytes.NewReader(body)))
	if errors.Is(err, errUnknownSetting) {
		c.known.forget()
	}
	return err
}

// framedBodies tells the server that the bodies of inserts are compressed in
// ClickHouse's own frames. It cannot be a setting of the driver: that would send
// it along with the plain text of the query by which a connection introduces
// itself.
type framedBodies struct{ next http.RoundTripper }

// insertContentType is what the driver marks a body of data with.
const insertContentType = "application/octet-stream"

// RoundTrip sends req, with decompress=1 when its body is data.
func (f framedBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Content-Type") != insertContentType {
		return f.next.RoundTrip(req)
	}
	framed := *req
	u := *req.URL
	u.RawQuery += "&decompress=1"
	framed.URL = &u
	return f.next.RoundTrip(&framed)
}

// blockRows checks that all columns have the same number of rows.
func blockRows(block []Column) (int, error) {
	if len(block) == 0 {
		return 0, nil
	}
	rows := block[0].Data.Rows()
	for _, col := range block {
		if n := col.Data.Rows(); n != rows {
			return 0, fmt.Errorf("%w: column %q has %d rows, column %q has %d", ErrBlock, block[0].Name, rows, col.Name, n)
		}
	}
	if rows > blockRowsMax {
		return 0, fmt.Errorf("%w: %d rows, at most %d", ErrBlock, rows, blockRowsMax)
	}
	return rows, nil
}

// body is the buffers of one request, reused between requests.
type body struct {
	raw   proto.Buffer
	lz4   *compress.Writer
	ready []byte
}

func newBody() *body { return &body{lz4: compress.NewWriter(compress.LevelZero, compress.LZ4)} }

func (b *body) bytes() []byte { return b.ready }

func (b *body) encode(rows int, block []Column) error {
	b.raw.Reset()
	head := proto.Block{Columns: len(block), Rows: rows}
	if err := head.EncodeRawBlock(&b.raw, nativeRevision, block); err != nil {
		return fmt.Errorf("%w: %w", ErrBlock, err)
	}
	b.ready = b.ready[:0]
	for rest := b.raw.Buf; len(rest) > 0; {
		n := min(len(rest), frameBytesMax)
		if err := b.lz4.Compress(rest[:n]); err != nil {
			return fmt.Errorf("%w: compress: %w", ErrBlock, err)
		}
		b.ready = append(b.ready, b.lz4.Data...)
		rest = rest[n:]
	}
	return nil
}

// bodyPool keeps as many bodies as requests run at once; a sync.Pool would drop
// tens of megabytes at every collection and allocate them again.
type bodyPool struct {
	free chan *body
}

func newBodyPool() *bodyPool { return &bodyPool{free: make(chan *body, connectionsMax)} }

func (p *bodyPool) get() *body {
	select {
	case b := <-p.free:
		return b
	default:
		return newBody()
	}
}

func (p *bodyPool) put(b *body) {
	select {
	case p.free <- b:
	default: // more than connectionsMax at once: let it go
	}
}
