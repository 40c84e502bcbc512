package unsubscribe

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider"
)

const (
	// bodyBytesMax bounds a form: one-click has one field.
	bodyBytesMax = 4 << 10
	// requestsMax bounds the requests in progress, each of which waits for Kafka.
	requestsMax = 256
)

// outcome is how a request ended: a metric label.
type outcome string

// The outcomes.
const (
	shown       outcome = "shown"        // the page: nothing changed
	oneClick    outcome = "one_click"    // by the program that reads the mail, RFC 8058
	byPage      outcome = "page"         // by the page
	undone      outcome = "undone"       // by the page, subscribed once more
	repeated    outcome = "repeated"     // the same choice within a minute: nothing to do
	wrongToken  outcome = "wrong_token"  // 404
	wrongMethod outcome = "wrong_method" // 405
	malformed   outcome = "malformed"    // 400: a form that chooses nothing
	unavailable outcome = "unavailable"  // 503: Kafka did not acknowledge, or too many at once
)

func outcomes() []outcome {
	return []outcome{shown, oneClick, byPage, undone, repeated, wrongToken, wrongMethod, malformed, unavailable}
}

// Options are what a Handler needs beside its Config.
type Options struct {
	// Publish stores one event durably; the caller completes it. An error means that the
	// person has to try once more.
	Publish func(context.Context, *provider.Item) error
	// RetryAfter is that header of a 503, seconds.
	RetryAfter string
	Log        *zap.Logger
	Registry   prometheus.Registerer
}

// Handler serves Prefix. Make it with New.
type Handler struct {
	cfg      Config
	opt      Options
	keys     [][]byte
	pages    *pages
	recent   *recent
	places   chan struct{}
	requests map[outcome]prometheus.Counter
	log      *zap.Logger // throttled
}

// New returns a handler. cfg has been validated.
func New(cfg Config, opt Options) (*Handler, error) {
	h := &Handler{
		cfg: cfg, opt: opt, recent: newRecent(recentMax), places: make(chan struct{}, requestsMax),
		requests: map[outcome]prometheus.Counter{}, log: telemetry.Throttled(opt.Log),
	}
	for _, key := range cfg.SigningKeys {
		h.keys = append(h.keys, []byte(key.Reveal()))
	}
	var err error
	if h.pages, err = newPages(); err != nil {
		return nil, err
	}
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailstream_ingress_unsubscribe_requests_total",
		Help: "Requests to the links of List-Unsubscribe by outcome. Page when unavailable grows: people cannot leave. Look when wrong_token does: a key was taken away too early, or somebody guesses.",
	}, []string{"outcome"})
	for _, o := range outcomes() {
		h.requests[o] = total.WithLabelValues(string(o))
	}
	return h, opt.Registry.Register(total)
}

// Link returns the URL of List-Unsubscribe for one mail.
func (c Config) Link(m Mail) (string, error) {
	if !c.Enabled() || len(c.SigningKeys) == 0 {
		return "", errors.New("make link: ingress.unsubscribe.public_url and signing_keys are not set")
	}
	if _, err := address.Canonical(m.Recipient); err != nil {
		return "", errors.New("make link: the recipient is not an address")
	}
	token, err := Token(c.SigningKeys[0].Reveal(), m)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(c.PublicURL, "/") + Prefix + token, nil
}

// answer is what a request gets.
type answer struct {
	outcome outcome
	status  int
	page    string
	mail    Mail
	choice  choice
}

// ServeHTTP answers with a page, also to a program, which looks at the status alone.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := h.serve(w, r)
	h.requests[a.outcome].Inc()
	if a.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", h.opt.RetryAfter)
	}
	h.pages.write(w, a, h.cfg)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) answer {
	m, err := read(h.keys, strings.TrimPrefix(r.URL.Path, Prefix))
	if err != nil {
		return answer{outcome: wrongToken, status: http.StatusNotFound, page: "invalid"}
	}
	httpserver.Trust(r)
	switch r.Method {
	case http.MethodGet, http.MethodHead: // scanners follow every link of a mail
		return answer{outcome: shown, status: http.StatusOK, page: "choose", mail: m}
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		return answer{outcome: wrongMethod, status: http.StatusMethodNotAllowed, page: "malformed", mail: m}
	}
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return answer{outcome: unavailable, status: http.StatusServiceUnavailable, page: "later", mail: m}
	}
	c, ok := chosen(http.MaxBytesReader(w, r.Body, bodyBytesMax), r.Header.Get("Content-Type"))
	if !ok {
		return answer{outcome: malformed, status: http.StatusBadRequest, page: "malformed", mail: m}
	}
	return h.apply(r.Context(), m, c)
}

// apply makes an event of a choice, unless it is the one that was last made.
func (h *Handler) apply(ctx context.Context, m Mail, c choice) answer {
	done := answer{outcome: c.outcome(), status: http.StatusOK, page: "done", mail: m, choice: c}
	if c.undoes() {
		done.page = "undone"
	}
	now := time.Now()
	if h.recent.has(m, c.effect(), now) {
		done.outcome = repeated
		return done
	}
	// Bound to our patience alone: a person who closes the page has chosen.
	if err := h.opt.Publish(context.WithoutCancel(ctx), item(m, c, now)); err != nil {
		h.log.Warn("unsubscribe was not stored", telemetry.Source(h.cfg.Source), telemetry.Fate(fate.Of(err).String()), telemetry.Err(err))
		return answer{outcome: unavailable, status: http.StatusServiceUnavailable, page: "later", mail: m}
	}
	h.recent.add(m, c.effect(), now)
	return done
}

// choice is what a form asks for.
type choice string

// The choices: the first is of RFC 8058, the others are of the page.
const (
	clickOne    choice = "one_click"
	leave       choice = "leave"         // what the link is about
	leaveAll    choice = "leave_all"     // all mail
	rejoin      choice = "subscribe"     // undoes leave
	rejoinToAll choice = "subscribe_all" // undoes leaveAll
)

func (c choice) outcome() outcome {
	switch c {
	case clickOne:
		return oneClick
	case leave, leaveAll:
		return byPage
	default:
		return undone
	}
}

// undoes says whether c takes mail again.
func (c choice) undoes() bool { return c == rejoin || c == rejoinToAll }

// all says whether c is about all mail.
func (c choice) all() bool { return c == leaveAll || c == rejoinToAll }

// effect is what c and others like it come to.
func (c choice) effect() choice {
	if c == clickOne {
		return leave
	}
	return c
}

// undo is the choice that takes c back.
func (c choice) undo() choice {
	if c.all() {
		return rejoinToAll
	}
	return rejoin
}

// chosen reads a form: urlencoded or multipart, as RFC 8058, section 3.2 allows. It is
// false for a form that chooses nothing.
func chosen(body io.Reader, contentType string) (choice, bool) {
	text, err := io.ReadAll(body)
	if err != nil {
		return "", false
	}
	form, ok := formOf(text, contentType)
	if !ok {
		return "", false
	}
	if c := choice(form.Get("choice")); len(form["choice"]) == 1 && (c == leave || c == leaveAll || c.undoes()) {
		return c, true
	}
	return clickOne, form.Get("List-Unsubscribe") == "One-Click"
}

func formOf(text []byte, contentType string) (url.Values, bool) {
	media, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil, false
	case media == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(text))
		return form, err == nil
	case media == "multipart/form-data":
		return multipartForm(text, params["boundary"])
	}
	return nil, false
}

func letters(s string) int { return utf8.RuneCountInString(s) }

func named(s string) bool { n := letters(s); return n >= 1 && n <= nameLettersMax }

func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

var _ http.Handler = (*Handler)(nil)
