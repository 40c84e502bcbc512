package simulate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

const (
	// attemptsMax is how often a refused request is retried. A real provider goes
	// on for hours; a simulation ends.
	attemptsMax = 20
	// retryDelayMax caps what a Retry-After may ask for.
	retryDelayMax = 5 * time.Second
	// requestTimeout is below every provider's own.
	requestTimeout = 30 * time.Second
	// latenciesMax bounds the memory of the percentiles; beyond it every new value
	// replaces an old one.
	latenciesMax = 100_000
	// answerBytesMax bounds an answer's body.
	answerBytesMax = 64 << 10
)

// retryBackoff is the delay where an answer names none.
var retryBackoff = lifecycle.Backoff{Min: time.Second, Max: time.Second}

// Summary is what the ingress answered.
type Summary struct {
	Took         time.Duration
	Requests     int         // answered 200
	Accepted     int         // events, as the answers say, duplicates included
	DeadLettered int         // events
	Retries      int         // requests resent after another answer
	GivenUp      int         // requests never answered 200
	Answers      map[int]int // by status; 0 is not an answer
	P50, P99     time.Duration
}

// String returns the summary as a few lines for a person.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nsent for %s: %d requests answered 200, %d events accepted (%.0f/s), %d dead-lettered\n",
		s.Took.Round(time.Millisecond), s.Requests, s.Accepted, float64(s.Accepted)/max(s.Took.Seconds(), 1e-3), s.DeadLettered)
	fmt.Fprintf(&b, "answer time p50 %s, p99 %s; %d sent again, %d given up\n", s.P50.Round(10*time.Microsecond), s.P99.Round(10*time.Microsecond), s.Retries, s.GivenUp)
	statuses := make([]int, 0, len(s.Answers))
	for status := range s.Answers {
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	for _, status := range statuses {
		name := strconv.Itoa(status) + " " + http.StatusText(status)
		if status == 0 {
			name = "no answer"
		}
		fmt.Fprintf(&b, "  %-28s %d\n", name, s.Answers[status])
	}
	return b.String()
}

type poster struct {
	cfg    Config
	url    string
	client *http.Client
	began  time.Time

	mu        sync.Mutex
	total     Summary
	latencies []time.Duration
	seen      int
}

// target is the URL that is posted to.
func (c Config) target() string { return strings.TrimSuffix(c.URL, "/") + "/v1/webhooks/" + c.Source }

func newPoster(cfg Config) *poster {
	transport := &http.Transport{MaxIdleConnsPerHost: cfg.Workers, MaxConnsPerHost: cfg.Workers}
	return &poster{
		cfg: cfg, url: cfg.target(), began: time.Now(),
		client: &http.Client{Transport: transport, Timeout: requestTimeout},
		total:  Summary{Answers: map[int]int{}},
	}
}

// send posts r until it is answered 200, attemptsMax is reached or the grace is over. If
// the very first request gets no answer, the run ends: there is no server.
func (p *poster) send(ctx context.Context, r dialect.Request) error {
	attempt := 0
	err := retryBackoff.Retry(ctx, func(ctx context.Context) error {
		attempt++
		status, err := p.post(ctx, r)
		return p.judge(status, attempt, err)
	}, func(int, time.Duration, error) {
		p.note(func(s *Summary) { s.Retries++ })
	})
	switch {
	case ctx.Err() != nil:
		return nil
	case fate.Of(err) == fate.DeadLetter:
		p.note(func(s *Summary) { s.GivenUp++ })
		return nil
	default:
		return err
	}
}

// judge returns nil for a request that is done with, else what becomes of it.
func (p *poster) judge(status, attempt int, err error) error {
	switch {
	case status == http.StatusOK:
		return nil
	case err != nil && p.unanswered():
		return fate.Wrap(fate.Halt, fmt.Errorf("post to %s: %w", p.url, err))
	case status == http.StatusUnauthorized || status == http.StatusNotFound:
		return fate.Wrap(fate.Halt, fmt.Errorf("post to %s: %d %s: check --source and its credentials in --config", p.url, status, http.StatusText(status)))
	case attempt == attemptsMax, time.Since(p.began) > p.cfg.Duration+p.cfg.Grace:
		return fate.Wrap(fate.DeadLetter, err)
	default:
		return err
	}
}

// post sends r once. A status other than 200 is an error, too.
func (p *poster) post(ctx context.Context, r dialect.Request) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodPost), p.target(r), bytes.NewReader(r.Body))
	if err != nil {
		return 0, err
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Mailstream-Origin", string(schemas.OriginSimulate))
	p.cfg.Auth.authorize(req)
	began := time.Now()
	resp, err := p.client.Do(req)
	if err != nil {
		p.note(func(s *Summary) { s.Answers[0]++ })
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end already
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	took := time.Since(began)
	var counts struct {
		Accepted     int `json:"accepted"`
		DeadLettered int `json:"dead_lettered"`
	}
	if resp.StatusCode == http.StatusOK && err == nil {
		err = json.Unmarshal(text, &counts)
	}
	p.note(func(s *Summary) {
		s.Answers[resp.StatusCode]++
		s.Accepted += counts.Accepted
		s.DeadLettered += counts.DeadLettered
		if resp.StatusCode == http.StatusOK {
			s.Requests++
		}
		p.keep(took)
	})
	if resp.StatusCode != http.StatusOK {
		err = refusal(resp)
	}
	return resp.StatusCode, err
}

// refusal is the error of an answer other than 200, with the delay that it asks for.
func refusal(resp *http.Response) error {
	err := fmt.Errorf("answered %s", resp.Status)
	if seconds, perr := strconv.Atoi(resp.Header.Get("Retry-After")); perr == nil {
		return &lifecycle.Delayed{Delay: min(time.Duration(seconds)*time.Second, retryDelayMax), Err: err}
	}
	return err
}

// target is the URL of one request.
func (p *poster) target(r dialect.Request) string {
	if r.Query == "" {
		return p.url
	}
	return p.url + "?" + r.Query
}

func (p *poster) note(f func(*Summary)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.total)
}

// keep adds a latency; p.mu is held.
func (p *poster) keep(took time.Duration) {
	if len(p.latencies) < latenciesMax {
		p.latencies = append(p.latencies, took)
	} else {
		p.latencies[p.seen%latenciesMax] = took
	}
	p.seen++
}

// unanswered says that no request was ever answered.
func (p *poster) unanswered() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen == 0
}

func (p *poster) progress() string {
	s := p.summary()
	return fmt.Sprintf("%6s  %d events accepted, %d requests, p99 %s, %d sent again", s.Took.Round(time.Second), s.Accepted, s.Requests, s.P99.Round(10*time.Microsecond), s.Retries)
}

func (p *poster) summary() Summary {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.total
	s.Took = time.Since(p.began)
	s.Answers = make(map[int]int, len(p.total.Answers))
	for status, n := range p.total.Answers {
		s.Answers[status] = n
	}
	if len(p.latencies) > 0 {
		sorted := slices.Clone(p.latencies)
		slices.Sort(sorted)
		s.P50, s.P99 = sorted[len(sorted)/2], sorted[len(sorted)*99/100]
	}
	return s
}
