//go:build linux

package clickhttp

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/devstack/engine/internal/chdb"
	"github.com/mailstream/mailstream/devstack/engine/internal/frame"
	"github.com/mailstream/mailstream/devstack/engine/internal/native"
)

// answer is the response to one request. The result goes through up to three
// layers: Native blocks are rewritten, then framed, then encoded for transport.
type answer struct {
	handler *Handler
	w       http.ResponseWriter
	request *request

	started time.Time
	counts  chdb.Counts

	tag    string      // marks an exception behind the beginning of a result
	ready  bool        // the header is set
	sent   bool        // some of the result has gone into the layers
	to     io.Writer   // outermost layer
	layers []io.Closer // innermost first
	err    error       // of building the layers
}

// add adds the counts of a piece of the result.
func (a *answer) add(c chdb.Counts) {
	a.counts.RowsRead = max(a.counts.RowsRead, c.RowsRead)
	a.counts.BytesRead = max(a.counts.BytesRead, c.BytesRead)
	a.counts.ResultRows += c.ResultRows
	a.counts.ResultBytes += c.ResultBytes
}

// begin sets the header of an answer with status 200. It is sent with the first
// byte of the result; what fails after that can only be said within the body.
func (a *answer) begin() {
	if a.ready {
		return
	}
	a.ready = true
	a.tag = strings.ToLower(rand.Text())[:16]
	header := a.w.Header()
	a.describe(header)
	header.Set("Content-Type", contentType(a.request.format))
	header.Set("X-ClickHouse-Format", a.request.format)
	header.Set("X-ClickHouse-Exception-Tag", a.tag)
	header.Set("X-ClickHouse-Summary", a.summary())
	a.layer()
}

// describe sets the headers of every answer.
func (a *answer) describe(header http.Header) {
	header.Set("X-ClickHouse-Query-Id", a.request.queryID)
	header.Set("X-ClickHouse-Server-Display-Name", a.handler.server.displayName)
	header.Set("X-ClickHouse-Timezone", a.handler.server.timezone)
}

// layer builds what the result goes through.
func (a *answer) layer() {
	name, to, closer, err := encode(a.request.encodings, a.w)
	if err != nil {
		a.err = err
		return
	}
	a.to = to
	if closer != nil {
		a.w.Header().Set("Content-Encoding", name)
		a.layers = append(a.layers, closer)
	}
	if !a.request.compress {
		return
	}
	framed, err := frame.NewWriter(a.to, a.request.framing)
	if err != nil {
		a.err = err
		return
	}
	a.to = framed
	a.layers = append(a.layers, framed)
}

// Write sends bytes of the result through the layers.
func (a *answer) Write(p []byte) (int, error) {
	a.sent = true
	return a.to.Write(p)
}

// rows sends whole blocks or rows of the result.
func (a *answer) rows(p []byte) error {
	if a.err != nil || len(p) == 0 {
		return a.err
	}
	if a.request.format == "Native" && a.request.revision > 0 {
		err := native.Rewrite(a, p, a.request.revision)
		if errors.Is(err, native.ErrUnsupported) {
			return exception(codeNotImplemented, "%v", err)
		}
		return err
	}
	_, err := a.Write(p)
	return err
}

// finish sends what the layers still hold. An answer without a result stays
// without a body, encoded or not.
func (a *answer) finish() error {
	if !a.sent {
		a.w.Header().Del("Content-Encoding")
		return a.err
	}
	for i := len(a.layers) - 1; i >= 0; i-- {
		if err := a.layers[i].Close(); err != nil {
			return err
		}
	}
	return nil
}

// fail answers with err: with its status while nothing of the result is sent,
// within the body after that.
func (a *answer) fail(err error) {
	var e *chdb.Exception
	if !errors.As(err, &e) {
		e = exception(codeUnknownException, "%v", err)
	}
	text := e.Text + " (version " + a.handler.server.version + " (embedded))\n"
	if a.sent {
		a.failInside(text)
		return
	}
	header := a.w.Header()
	clear(header)
	header.Set("Content-Type", "text/plain; charset=UTF-8")
	header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
	a.describe(header)
	a.layers, a.err = nil, nil
	a.request.encodings = "" // readable by every client, whatever it asked for
	a.layer()
	if a.err != nil { // no such framing: plain then
		a.to = a.w
	}
	a.w.WriteHeader(statusOf(e.Code))
	a.deliver(text)
}

// failInside appends the error to a result that has begun, in the frame by which
// clients distinguish it from data.
func (a *answer) failInside(text string) {
	a.deliver(fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n", a.tag, text, len(text), a.tag))
}

// deliver sends the last text of an answer. A client that has gone misses nothing.
func (a *answer) deliver(text string) {
	if _, err := io.WriteString(a, text); err == nil {
		_ = a.finish() // as above
	}
}

// summary is the JSON of the header X-ClickHouse-Summary: numbers as strings.
func (a *answer) summary() string {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	out, err := json.Marshal(struct {
		ReadRows        string `json:"read_rows"`
		ReadBytes       string `json:"read_bytes"`
		WrittenRows     string `json:"written_rows"`
		WrittenBytes    string `json:"written_bytes"`
		TotalRowsToRead string `json:"total_rows_to_read"`
		ResultRows      string `json:"result_rows"`
		ResultBytes     string `json:"result_bytes"`
		ElapsedNS       string `json:"elapsed_ns"`
	}{
		number(a.counts.RowsRead), number(a.counts.BytesRead), number(a.counts.RowsWritten), number(a.counts.BytesWritten),
		"0", number(max(a.counts.RowsWritten, a.counts.ResultRows)), number(max(a.counts.BytesWritten, a.counts.ResultBytes)),
		number(uint64(time.Since(a.started))),
	})
	if err != nil {
		return "{}" // strings always marshal
	}
	return string(out)
}

// contentType returns the media type of a format as a server gives it.
func contentType(format string) string {
	switch {
	case format == "Native", format == "Parquet", strings.HasPrefix(format, "RowBinary"), strings.HasPrefix(format, "Arrow"), format == "ORC", format == "Avro":
		return "application/octet-stream"
	case strings.HasPrefix(format, "CSVWithNames"):
		return "text/csv; charset=UTF-8; header=present"
	case format == "CSV":
		return "text/csv; charset=UTF-8; header=absent"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasSuffix(format, "EachRow"), format == "JSONLines", format == "NDJSON":
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case format == "XML":
		return "application/xml; charset=UTF-8"
	}
	return "text/plain; charset=UTF-8"
}
