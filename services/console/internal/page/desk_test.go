package page

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// desk is a console without ClickHouse, and what it asked of the services.
type desk struct {
	handler http.Handler
	routes  map[string]route
	mux     *http.ServeMux // says which of routes takes a request
	now     time.Time

	mu      sync.Mutex
	calls   []string // method and path of what was asked; guarded by mu
	queries []string // of each of calls; guarded by mu
	bodies  []string // what came with each of calls; guarded by mu
	listed  string   // the query of the list that was asked for last; guarded by mu
	notes   []Entry  // guarded by mu
	answer  int      // of the services, 0 for 200
	says    string   // in place of the body that every call is answered with
	refuses string   // the one call that is answered 400, with refusal
	refusal string
	noTrail bool // Kafka is away
	logs    *observer.ObservedLogs
	who     audit.Entry // for whom the services were asked last; guarded by mu

	backtest Backtest
}

// Note keeps an entry.
func (d *desk) Note(_ context.Context, e Entry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.noTrail {
		return errors.New("kafka does not take the entry")
	}
	d.notes = append(d.notes, e)
	return nil
}

// changed returns the calls that change something.
func (d *desk) changed() (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, call := range d.calls {
		if !strings.HasPrefix(call, "GET ") && call != "POST /v1/suppressions/check" {
			list = append(list, call)
		}
	}
	return list
}

// ServeHTTP is all services.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body) // a body that ends early is an empty one
	d.mu.Lock()
	d.queries = append(d.queries, r.URL.RawQuery)
	d.bodies = append(d.bodies, string(text))
	d.calls = append(d.calls, r.Method+" "+r.URL.Path)
	if r.URL.Path == "/v1/suppressions" && r.Method == http.MethodGet {
		d.listed = r.URL.RawQuery
	}
	status := d.answer
	d.who = audit.By(r, "")
	d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if cursor := r.URL.Query().Get("cursor"); cursor != "" && cursor != cursorOfEnd { // no other is of a service
		status = http.StatusBadRequest
	}
	if status == 0 {
		status = http.StatusOK
	}
	if d.refuses == r.Method+" "+r.URL.Path {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, cmp.Or(d.refusal, "{}")) // the client may have gone
		return
	}
	w.WriteHeader(status)
	if d.says != "" {
		_, _ = io.WriteString(w, d.says) // the client may have gone
		return
	}
	_, _ = io.WriteString(w, `{"alerts":[],"silences":[],"suppressions":[],"suppressed":[],"steps":[],"operations":[],"letters":0,"accepted":1,"records":0,"lag_ms":5,"changed":1}`) // the client may have gone
}

const cursorOfEnd = "behind-the-last-entry"

const tokenOf = "-token-of-the-tests" // behind the name of the role

func newDesk(tb testing.TB) *desk {
	tb.Helper()
	return newDeskWith(tb, func(*auth.Config) {})
}

// newDeskWith has another configuration of who may come in.
func newDeskWith(tb testing.TB, change func(*auth.Config)) *desk {
	tb.Helper()
	core, logs := observer.New(zap.DebugLevel)
	d := &desk{logs: logs, now: time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC), backtest: func(context.Context, time.Time, time.Time) ([]Trial, error) { return nil, nil }}
	services := httptest.NewServer(d)
	tb.Cleanup(services.Close)
	reached := peer.Config{URL: services.URL, Token: config.Literal("secret-of-the-services")}
	store := clickhouse.Default()
	store.URL = "http://127.0.0.1:1" // nobody listens there
	db, err := clickhouse.Open(store, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() }) // it has no connection
	cfg := auth.Default()
	for _, role := range []string{"viewer", "support", "operator", "admin"} {
		cfg.Tokens = append(cfg.Tokens, auth.Token{Name: role, Role: role, Token: config.Literal(role + tokenOf)})
	}
	change(&cfg)
	gate, err := auth.New(cfg, func() time.Time { return d.now })
	if err != nil {
		tb.Fatal(err)
	}
	options := Options{
		Gate: gate, History: history.New(db, false, nil), Suppression: peer.New("suppression", reached), Alerting: peer.New("alerting", reached), Analytics: peer.New("analytics", reached), Ingress: peer.NewMetrics(""),
		World: World{Sources: []Source{{"shop", "sendgrid"}}, Backtest: func(ctx context.Context, from, to time.Time) ([]Trial, error) { return d.backtest(ctx, from, to) }}, Trail: d, Now: func() time.Time { return d.now }, Log: zap.New(core), Registry: prometheus.NewRegistry(),
		Pattern: func(text string) (string, string, bool, error) {
			if !isPattern(text) {
				return "", "", false, nil
			}
			if strings.HasPrefix(text, schemas.MailboxProviderPrefix) {
				return text, strings.Repeat("b2", 16), true, nil
			}
			canonical, err := address.Pattern(text)
			return canonical, strings.Repeat("b2", 16), true, err
		},
		Hash: func(address string) (string, error) {
			if !strings.Contains(address, "@") {
				return "", errors.New("no address")
			}
			return strings.Repeat("a1", 16), nil
		},
	}
	if d.handler, err = New(options); err != nil {
		tb.Fatal(err)
	}
	d.routes, d.mux = (&Site{Options: options}).routes(), http.NewServeMux()
	for pattern := range d.routes {
		d.mux.Handle(pattern, http.NotFoundHandler())
	}
	return d
}

// ask makes a request as one of the roles, "" for nobody.
func (d *desk) ask(r *http.Request, role string) *httptest.ResponseRecorder {
	if role != "" {
		r.Header.Set("Authorization", "Bearer "+role+tokenOf)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w
}

func form(path string, fields ...string) *http.Request {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// body is a form as it is written.
func body(path, kind, text string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(text))
	r.Header.Set("Content-Type", kind)
	return r
}

// upload sends a file, and fields beside it: a name and its value, or a name alone for a
// second file.
func upload(t *testing.T, text string, fields ...string) *http.Request {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("file", "list.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, text); err != nil {
		t.Fatal(err)
	}
	if len(fields) == 1 {
		_, err = w.CreateFormFile(fields[0], "more.csv")
	} else if len(fields) == 2 {
		err = w.WriteField(fields[0], fields[1])
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/suppressions/import", &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

// An address of each pattern that a route has.
func addressOf(pattern string) (method, target string) {
	method, target, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{$}", "", "{name}", "shop", "{id}", "inc-1", "{hash}", strings.Repeat("a1", 16), "{source}", "shop").Replace(target)
}
