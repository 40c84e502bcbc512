package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// streamBatchMax is how many lines are looked up at once: a pass over the disk for all
	// of them costs each less than one of its own, and their answers are not kept waiting.
	streamBatchMax = 1000

	// streamLineBytesMax is the longest address, 512 bytes, each written as \u0000.
	streamLineBytesMax = 4 << 10

	// streamBufferBytes is what is read at once; written at once are the answers of a batch.
	streamBufferBytes = 64 << 10

	// streamIdle bounds the wait for the next line, and for the sender to take answers: it
	// may think for as long, and one that is gone does not hold its place for ever.
	streamIdle = time.Minute
)

// stream is a check of lines on its way: one line in, one line out, in their order.
type stream struct {
	api     *API
	backend *Backend
	in      *bufio.Reader
	out     io.Writer
	quiet   bool // who may be mailed gets no line
	mail    question

	lines   int // read so far
	batch   []asked
	people  []person       // of the batch, those that can be looked up
	listed  []listedPerson // of people, in their order, who must not get the mail
	answers []byte         // of the batch
	sum     streamSum
}

// streamSum is what the trailers say.
type streamSum struct {
	checked, suppressed, faults int
	lag                         time.Duration // the largest
}

// asked is one line of a batch.
type asked struct {
	line  int
	fault string // why the line holds no address to look up, "" where it does
}

// streamLine is what a line holds.
type streamLine struct {
	Address string `json:"address"`
}

// streamFault answers a line without an address to look up.
type streamFault struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// listedPerson is one of stream.people who must not get the mail.
type listedPerson struct {
	person int // index
	entry  entryView
}

// checkStream answers each line as soon as no other line waits to be read. It holds one
// batch: while the sender does not read answers, it reads no lines.
func (a *API) checkStream(w http.ResponseWriter, r *http.Request, b *Backend) {
	s, ok := a.newStream(w, r, b)
	if !ok || !a.noteNamed(w, r, func() audit.Entry { return audit.Entry{Action: auditCheck, Note: "a list of addresses"} }) {
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Trailer", "Mailstream-Checked, Mailstream-Suppressed, Mailstream-Faults, Mailstream-Lag-Ms")
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // HTTP/2 has it anyway
	if err := s.run(control); err != nil {
		if r.Context().Err() == nil && errors.Is(err, errStore) {
			a.opt.Log.Error("check failed", telemetry.Rows(s.lines), telemetry.Err(err))
		}
		panic(http.ErrAbortHandler) // a sender must not take what is there for all
	}
	for name, value := range map[string]int{
		"Checked": s.sum.checked, "Suppressed": s.sum.suppressed, "Faults": s.sum.faults, "Lag-Ms": int(s.sum.lag.Milliseconds()),
	} {
		w.Header().Set("Mailstream-"+name, strconv.Itoa(value))
	}
}

// newStream reads the parameters. It writes the answer and returns false where they
// cannot be used.
func (a *API) newStream(w http.ResponseWriter, r *http.Request, b *Backend) (*stream, bool) {
	values, ok := httpserver.Query(w, r, "stream", "list", "source", "min_token", "suppressed_only")
	if !ok {
		return nil, false
	}
	s := &stream{api: a, backend: b, out: w, in: bufio.NewReaderSize(r.Body, streamBufferBytes)}
	req := checkRequest{Addresses: []string{}, Stream: values.Get("stream"), List: values.Get("list"), Source: values.Get("source"), MinToken: values.Get("min_token")}
	fault := req.fault()
	for _, name := range []string{"stream", "list", "source", "min_token"} {
		if values.Has(name) && values.Get(name) == "" {
			fault = name + " is empty: leave it out, or say which"
		}
	}
	if values.Has("suppressed_only") {
		var err error
		if s.quiet, err = strconv.ParseBool(values.Get("suppressed_only")); err != nil {
			fault = "suppressed_only is neither true nor false"
		}
	}
	if said := r.Header.Get("Content-Type"); !linesType(said) {
		fault = fmt.Sprintf("content type %q is not application/x-ndjson", clip(said))
	}
	if fault != "" {
		refuse(w, fault)
		return nil, false
	}
	s.mail.Query = a.query(req)
	return s, a.await(w, r, b, req.MinToken)
}

// linesType takes what is JSON Lines, what says nothing, and what curl says of every
// body.
func linesType(said string) bool {
	if said == "" {
		return true
	}
	media, _, _ := mime.ParseMediaType(said) // without a media type it is neither
	return slices.Contains([]string{
		"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines", "application/x-www-form-urlencoded",
	}, media)
}

// run answers lines until there are no more.
func (s *stream) run(control *http.ResponseController) error {
	for {
		if len(s.batch) == 0 {
			now := time.Now()
			_, _ = control.SetReadDeadline(now.Add(streamIdle)), control.SetWriteDeadline(now.Add(streamIdle)) // a connection without them is a test's
		}
		text, long, err := s.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read line %d: %w", s.lines+1, err)
		}
		if err == nil || len(text) > 0 || long {
			s.take(text, long)
		}
		waits := err != nil || !s.hasLine()
		if waits || len(s.batch) == streamBatchMax {
			if err := s.answer(); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		if waits {
			if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return fmt.Errorf("send answers: %w", err)
			}
		}
	}
}

// next returns the next line without its end; it is valid until the next call. Of one
// that is longer than allowed only that is known.
func (s *stream) next() (line []byte, long bool, err error) {
	line, err = s.in.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		long = true
		_, err = s.in.ReadSlice('\n')
	}
	long = long || len(line) > streamLineBytesMax
	return bytes.TrimRight(line, "\r\n"), long, err
}

// hasLine says whether a whole line has been received.
func (s *stream) hasLine() bool {
	ahead, _ := s.in.Peek(s.in.Buffered()) // it is there
	return bytes.IndexByte(ahead, '\n') >= 0
}

// take puts a line into the batch.
func (s *stream) take(text []byte, long bool) {
	s.lines++
	at := asked{line: s.lines}
	if long {
		at.fault = fmt.Sprintf("the line is longer than %d bytes", streamLineBytesMax)
	} else if address, fault := addressOf(text); fault != "" {
		at.fault = fault
	} else if who, err := s.api.personOf(address); err != nil {
		at.fault = "address is " + err.Error()
	} else {
		s.people = append(s.people, who)
	}
	s.batch = append(s.batch, at)
}

var (
	plainBegin = []byte(`{"address":"`)
	plainEnd   = []byte(`"}`)
)

// addressOf reads a line.
func addressOf(text []byte) (address, fault string) {
	if inner, ok := bytes.CutPrefix(text, plainBegin); ok {
		if inner, ok = bytes.CutSuffix(inner, plainEnd); ok && plainText(inner) {
			return string(inner), ""
		}
	}
	var line streamLine
	if fault := httpserver.Line(text, &line); fault != "" {
		return "", fault
	}
	if line.Address == "" {
		return "", "address is missing"
	}
	return line.Address, ""
}

// answer looks the batch up and writes its answers.
func (s *stream) answer() error {
	if len(s.batch) == 0 {
		return nil
	}
	began, lag := time.Now(), s.backend.Follower.Lag()
	s.mail.at, s.sum.lag = began, max(s.sum.lag, lag)
	stale := lag > s.api.opt.StaleAfter
	s.listed = s.listed[:0]
	err := s.api.judge(s.backend.Reader, s.people, s.mail, func(i int, _ []schemas.Suppression, entry *entryView) {
		s.listed = append(s.listed, listedPerson{i, *entry})
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	s.answers = s.answers[:0]
	listed, person := s.listed, 0
	for _, line := range s.batch {
		if line.fault != "" {
			s.sum.faults++
			s.write(streamFault{line.line, line.fault})
			continue
		}
		if len(listed) > 0 && listed[0].person == person {
			s.answers = appendForbidden(s.answers, s.people[person].asked, stale, &listed[0].entry)
			listed = listed[1:]
		} else if !s.quiet {
			s.answers = appendAllowed(s.answers, s.people[person].asked, stale)
		}
		person++
	}
	s.sum.checked += len(s.people)
	s.sum.suppressed += len(s.listed)
	s.api.opt.Metrics.checked(len(s.people), len(s.listed), time.Since(began))
	s.batch, s.people = s.batch[:0], s.people[:0]
	if _, err := s.out.Write(s.answers); err != nil {
		return fmt.Errorf("send answers: %w", err)
	}
	return nil
}

func (s *stream) write(v any) {
	text, _ := json.Marshal(v) // of what these hold nothing is refused
	s.answers = append(append(s.answers, text...), '\n')
}
