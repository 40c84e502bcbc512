package suppressions

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"sync"
	"time"
)

const (
	// chunkMax is how many addresses are handed over at once, as many as the service
	// looks up at once.
	chunkMax = 1000
	// chunksInFlight bounds the addresses that were sent and not answered, with the chunk
	// that is being answered 33,000: what is sent once more after a fault, and enough to
	// keep both ends busy.
	chunksInFlight = 32
	// lineBytesMax bounds a line of the answer: an entry with its note.
	lineBytesMax = 64 << 10
)

// errSilent says that the service did not answer in time.
var errSilent = errors.New("suppressions: the service went silent")

// errCut says that an answer ended before every line was answered.
var errCut = errors.New("suppressions: the stream was cut off")

// Stream asks about addresses over one connection and yields a verdict on each, in their
// order. It reads ahead at most 35,000 addresses of the sequence, which it calls in a
// goroutine of its own; the loop ends after that goroutine, so the sequence must return
// when its yield says no, and must not wait for ever. No address waits for a later one. A
// stream that is cut off goes on with a new one. After an error, which ends the loop, nothing is known of the rest.
func (c *Client) Stream(ctx context.Context, mail Mail, addresses iter.Seq[string]) iter.Seq2[Verdict, error] {
	return func(yield func(Verdict, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		s := &streaming{client: c, path: streamPath(mail), queue: newQueue(), yield: yield}
		fed := make(chan struct{})
		go func() {
			defer close(fed)
			s.queue.fill(ctx, addresses)
		}()
		defer func() { <-fed }()
		defer cancel()
		if err := s.run(ctx); err != nil {
			yield(Verdict{}, err)
		}
	}
}

func streamPath(mail Mail) string {
	query := url.Values{}
	for name, value := range map[string]string{"stream": mail.Stream, "list": mail.List, "source": mail.Source, "min_token": mail.MinToken} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return "/v1/suppressions/check/stream?" + query.Encode()
}

// streaming is one call of Stream.
type streaming struct {
	client *Client
	path   string
	queue  *queue
	yield  func(Verdict, error) bool

	owed     [][]string // taken from the queue before, and not answered
	answered int
	stopped  bool // the loop wants no more
}

// run opens one connection after the other until all is answered.
func (s *streaming) run(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		if len(s.owed) == 0 {
			chunk, ok := s.queue.take(ctx)
			if !ok {
				return ctx.Err()
			}
			s.owed = [][]string{chunk}
		}
		before := s.answered
		err := s.session(ctx)
		if s.stopped || err == nil {
			return nil
		}
		if s.answered > before {
			attempt = 0
		}
		if err = s.client.pause(ctx, attempt, err); err == nil {
			continue
		}
		if ctx.Err() != nil || !passing(err) || s.client.cfg.Policy == FailWithError {
			return err
		}
		if s.assume(); s.stopped {
			return nil
		}
		attempt = 0
	}
}

// session is one connection. It ends without an error when all is answered, or when the
// loop wants no more.
func (s *streaming) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	body, in := io.Pipe()
	out := &sending{owed: s.owed, queue: s.queue, body: in, sent: make(chan []string, chunksInFlight)}
	s.owed = nil
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out.run(ctx)
	}()
	err := s.receive(ctx, func() { cancel(errSilent) }, out, body)
	if errors.Is(context.Cause(ctx), errSilent) && err != nil {
		err = errSilent
	}
	cancel(nil)
	_ = body.Close() // a write that waits ends
	<-ended
	for chunk := range out.sent {
		s.owed = append(s.owed, chunk)
	}
	s.owed = append(s.owed, out.owed...)
	return err
}

// receive sends the request and yields the answers. What of a chunk is not answered is
// in s.owed.
func (s *streaming) receive(ctx context.Context, silent func(), out *sending, body io.Reader) error {
	watch := time.AfterFunc(s.client.cfg.Timeout, silent)
	defer watch.Stop()
	resp, err := s.client.post(ctx, s.path, "application/x-ndjson", body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // what was read counts
	watch.Stop()
	in := answers{bufio.NewReaderSize(resp.Body, lineBytesMax), watch, s.client.cfg.Timeout}
	for chunk := range out.sent {
		for i, address := range chunk {
			line, err := in.next()
			var v Verdict
			if err == nil {
				v, err = verdictOf(line, address)
			}
			if err != nil {
				s.owed = [][]string{chunk[i:]}
				return fmt.Errorf("%w: %w", errCut, err)
			}
			s.answered++
			if !s.yield(v, nil) {
				s.stopped = true
				return nil
			}
		}
	}
	if ctx.Err() != nil { // that is why there was no more
		return ctx.Err()
	}
	_, _ = in.next() // the end, so that the connection serves the next request
	return nil
}

// assume yields what the policy says of those who were sent and not answered.
func (s *streaming) assume() {
	for _, chunk := range s.owed {
		for _, address := range chunk {
			if s.stopped = !s.yield(s.client.assumed(address), nil); s.stopped {
				return
			}
		}
	}
	s.owed = nil
}

// answers are the lines of an answer, each awaited for a while.
type answers struct {
	in    *bufio.Reader
	watch *time.Timer
	wait  time.Duration
}

func (a *answers) next() ([]byte, error) {
	ahead, _ := a.in.Peek(a.in.Buffered()) // it is there
	if bytes.IndexByte(ahead, '\n') < 0 {
		a.watch.Reset(a.wait)
		defer a.watch.Stop()
	}
	return a.in.ReadSlice('\n')
}

var (
	allowedBegin = []byte(`{"address":"`)
	allowedEnd   = []byte(`","suppressed":false}` + "\n")
)

// verdictOf reads the answer to address.
func verdictOf(line []byte, address string) (Verdict, error) {
	if rest, ok := bytes.CutPrefix(line, allowedBegin); ok && len(rest) == len(address)+len(allowedEnd) &&
		string(rest[:len(address)]) == address && bytes.Equal(rest[len(address):], allowedEnd) {
		return Verdict{Address: address}, nil
	}
	var answer struct {
		entry
		Suppressed *bool  `json:"suppressed"`
		Stale      bool   `json:"stale"`
		Error      string `json:"error"`
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return Verdict{}, err
	}
	switch {
	case answer.Error != "":
		return Verdict{Address: address, Suppressed: true, Fault: answer.Error}, nil
	case answer.Suppressed == nil || answer.Address != sent(address):
		return Verdict{}, errors.New("the answer is about another address")
	case !*answer.Suppressed:
		return Verdict{Address: address, Stale: answer.Stale}, nil
	}
	v := answer.verdict(address)
	v.Stale = answer.Stale
	return v, nil
}

// sending writes what is owed, then what comes.
type sending struct {
	owed  [][]string // not sent yet; the first there is
	queue *queue
	body  *io.PipeWriter
	sent  chan []string // closed behind the last
	text  []byte
}

// run ends when all is written, or when the body is closed.
func (s *sending) run(ctx context.Context) {
	defer close(s.sent)
	defer func() { _ = s.body.CloseWithError(errCut) }() // a transport that reads waits for us; behind the end it says nothing
	for {
		if len(s.owed) == 0 {
			chunk, ok := s.queue.take(ctx)
			if !ok {
				_ = s.body.CloseWithError(ctx.Err()) // nil: that was all
				return
			}
			s.owed = [][]string{chunk}
		}
		select {
		case s.sent <- s.owed[0]:
		case <-ctx.Done():
			return
		}
		chunk := s.owed[0]
		s.owed = s.owed[1:]
		if _, err := s.body.Write(s.encode(chunk)); err != nil {
			return
		}
	}
}

func (s *sending) encode(chunk []string) []byte {
	s.text = s.text[:0]
	for _, address := range chunk {
		s.text = append(s.text, `{"address":`...)
		if plain(address) {
			s.text = append(append(append(s.text, '"'), address...), '"')
		} else {
			quoted, _ := json.Marshal(address) // a string is never refused
			s.text = append(s.text, quoted...)
		}
		s.text = append(s.text, "}\n"...)
	}
	return s.text
}

// plain says whether JSON writes s as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// queue holds the addresses that were read ahead, at most chunkMax. One goroutine fills
// it, one takes.
type queue struct {
	more, room chan struct{} // a token: look at the queue

	mu     sync.Mutex
	chunk  []string // guarded by mu
	closed bool     // guarded by mu
}

func newQueue() *queue {
	return &queue{more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// fill puts addresses until there are no more or ctx is done.
func (q *queue) fill(ctx context.Context, addresses iter.Seq[string]) {
	for a := range addresses {
		if ctx.Err() != nil {
			return // not closed: what was read is not all
		}
		q.mu.Lock()
		q.chunk = append(q.chunk, a)
		n := len(q.chunk)
		q.mu.Unlock()
		if n == 1 {
			signal(q.more)
		}
		for ; n == chunkMax; n = q.len() {
			select {
			case <-q.room:
			case <-ctx.Done():
				return // not closed: what was read is not all
			}
		}
	}
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.more)
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.chunk)
}

// take returns what is there as soon as something is; ok is false when nothing will be, or
// when ctx is done.
func (q *queue) take(ctx context.Context) (chunk []string, ok bool) {
	for {
		q.mu.Lock()
		chunk, closed := q.chunk, q.closed
		if q.chunk = nil; len(chunk) > 0 {
			q.chunk = make([]string, 0, chunkMax)
		}
		q.mu.Unlock()
		if len(chunk) > 0 {
			signal(q.room)
			return chunk, true
		}
		if closed {
			signal(q.more) // for the next who asks
			return nil, false
		}
		select {
		case <-q.more:
		case <-ctx.Done():
			return nil, false
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
