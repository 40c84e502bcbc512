package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"
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
	// (1,048,449 rows), so that one Insert is one part a partition.
	blockRowsMax = 1_000_000
)

// Insert stores blocks of the same columns through statement, "INSERT INTO table
// (columns)", as one, and returns nil only when the server has stored all of it.
// Blocks are encoded at once, each by a separate goroutine, and completely
// before anything is sent: a block that cannot be encoded is an error here,
// never an empty request. An insert of several partitions is not atomic; the
// caller repeats it until it succeeds.
func (c *Client) Insert(ctx context.Context, statement string, blocks ...[]Column) error {
	start := time.Now()
	bodies := make([]*body, len(blocks))
	rows := make([]int, len(blocks))
	var g errgroup.Group
	for i, block := range blocks {
		bodies[i] = c.pool.get()
		defer c.pool.put(bodies[i])
		g.Go(func() (err error) {
			rows[i], err = bodies[i].encode(block)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return c.explain("insert", err)
	}
	total, size, readers := 0, 0, make([]io.Reader, 0, len(bodies))
	for i, b := range bodies {
		total += rows[i]
		size += len(b.out)
		readers = append(readers, bytes.NewReader(b.out))
	}
	if total == 0 {
		return nil
	}
	if total > blockRowsMax {
		return c.explain("insert", fmt.Errorf("%w: %d rows, at most %d", ErrBlock, total, blockRowsMax))
	}
	if err := c.send(ctx, statement, io.MultiReader(readers...)); err != nil {
		c.met.insertsFailed.Inc()
		return err
	}
	c.met.stored(total, size, time.Since(start))
	return nil
}

func (c *Client) send(ctx context.Context, statement string, body io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.InsertTimeout)
	defer cancel()
	settings, err := c.known.get(ctx, c)
	if err != nil {
		return err
	}
	ctx = driver.Context(ctx, driver.WithSettings(settings))
	err = c.explain("insert", c.conn.InsertFormat(ctx, "Native", statement, body))
	if errors.Is(err, errUnknownSetting) {
		c.known.forget()
	}
	return err
}

// framedBodies is the parameter that says that the bodies of inserts are
// compressed in ClickHouse's frame format. It cannot be a setting of the driver:
// that would send it along with the plain text of the query by which a
// connection introduces itself.
type framedBodies struct{ *http.Transport }

// insertContentType is what the driver marks a body of data with.
const insertContentType = "application/octet-stream"

// RoundTrip sends req, with decompress=1 when its body is data.
func (f framedBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Content-Type") != insertContentType {
		return f.Transport.RoundTrip(req)
	}
	framed := *req
	u := *req.URL
	u.RawQuery += "&decompress=1"
	framed.URL = &u
	return f.Transport.RoundTrip(&framed)
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
	return rows, nil
}

// body is one encoded block, its memory reused between requests.
type body struct {
	frames
	columns *proto.Writer // over frames
}

func newBody() *body {
	b := &body{frames: frames{lz4: compress.NewWriter(compress.LevelZero, compress.LZ4)}}
	b.columns = proto.NewWriter(&b.frames, new(proto.Buffer))
	return b
}

// encode makes block ready to be sent and returns its rows.
func (b *body) encode(block []Column) (rows int, err error) {
	b.out, b.pending = b.out[:0], b.pending[:0]
	if rows, err = blockRows(block); err != nil || rows == 0 {
		return 0, err
	}
	head := proto.Block{Columns: len(block), Rows: rows}
	// A fault half way leaves columns in the writer; flushing drops them.
	err = head.WriteBlock(b.columns, nativeRevision, block)
	_, flushed := b.columns.Flush()
	if err = errors.Join(err, flushed, b.close()); err != nil {
		b.out = b.out[:0]
		return 0, fmt.Errorf("%w: %w", ErrBlock, err)
	}
	return rows, nil
}

// frames compresses what is written to it into frames of frameBytesMax.
type frames struct {
	lz4     *compress.Writer
	pending []byte // not yet a whole frame
	out     []byte
}

// Write takes all of p or fails.
func (f *frames) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(f.pending) == 0 && len(p) >= frameBytesMax {
			if err := f.compress(p[:frameBytesMax]); err != nil {
				return 0, err
			}
			p = p[frameBytesMax:]
			continue
		}
		part := min(len(p), frameBytesMax-len(f.pending))
		f.pending, p = append(f.pending, p[:part]...), p[part:]
		if len(f.pending) == frameBytesMax {
			if err := f.close(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// close ends the last frame.
func (f *frames) close() error {
	if len(f.pending) == 0 {
		return nil
	}
	err := f.compress(f.pending)
	f.pending = f.pending[:0]
	return err
}

func (f *frames) compress(p []byte) error {
	if err := f.lz4.Compress(p); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	f.out = append(f.out, f.lz4.Data...)
	return nil
}

// bodyPool keeps as many bodies as requests run at once; a sync.Pool would drop
// tens of megabytes at every garbage collection and reallocate them.
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
