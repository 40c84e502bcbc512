// Package page is what people see: each page loads what it shows, in one struct, which
// a template shows to a browser and encoding/json to a program, so that both have the
// same numbers. Pages work without JavaScript. A part that is away leaves a notice on
// the page and everything else as it is; what needs a role refuses before it reads.
//
// It keeps nothing and decides nothing about mail: changes are calls of the services.
package page

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// Source is a configured source of the ingress.
type Source struct {
	Name     string `json:"name"`
	Provider string `json:"provider"`
}

// Rule is a configured rule of alerting, in words.
type Rule struct {
	Name      string            `json:"name"`
	Metric    string            `json:"metric"`
	Severity  string            `json:"severity"`
	By        twin.List[string] `json:"by"` // labels
	Window    string            `json:"window"`
	Threshold float64           `json:"threshold"`
	MinVolume int64             `json:"min_volume"`
	// Counts says which events alone the rule counts, such as "cause not provider"; "" for all.
	Counts string `json:"counts_only,omitempty"`
	Judged string `json:"judged"` // JudgedStream, JudgedSQL or JudgedOff
	// Match is the same for a program.
	Match Match `json:"-"`
}

// How a rule is judged.
const (
	JudgedStream = "stream"
	JudgedSQL    = "sql"
	JudgedOff    = "off"
)

// Match says which events alone a rule counts. A word with ! in front is one to leave out.
type Match struct{ Cause, Reason, Type, Stream []string }

// Trial is one rule of a back-test.
type Trial struct {
	Rule         string  `json:"rule"`
	Incidents    int     `json:"incidents"`
	PagesPerWeek float64 `json:"pages_per_week"`
	Fired        int     `json:"fired"`
	Both         int     `json:"both"`
	Missed       int     `json:"missed"`
	New          int     `json:"new"`
}

// Backtest plays history to the rules as they are.
type Backtest func(ctx context.Context, from, to time.Time) ([]Trial, error)

// World is what the configuration says of the other services.
type World struct {
	Sources  []Source
	Rules    []Rule
	Backtest Backtest // nil: not possible
	Webhooks string   // the base URL of the ingress
	// Literal are the providers whose bounces are never blocks to alerting.
	Literal []string
	// Advice says what usually helps with an alert, "" where nothing can be said; nil: not
	// known.
	Advice func(*schemas.Alert) string
}

// Trail keeps who looked at whom. Who changed what is kept by the service that makes the
// change, for whoever asks.
type Trail interface {
	// Note keeps an entry for good before it returns.
	Note(ctx context.Context, e Entry) error
}

// Entry is one look-up of a person.
type Entry struct {
	By     auth.User
	Action string // such as person.view
	Object string // a recipient hash, a message; no address
	Note   string
}

// Options are the parts a site is built on.
type Options struct {
	Gate        *auth.Gate
	History     *history.Reader
	Suppression *peer.Client
	Alerting    *peer.Client
	Analytics   *peer.Client // for dead letters
	Ingress     *peer.Metrics
	World       World
	Trail       Trail
	// Hash gives the recipient hash of an address, or says that it is none.
	Hash func(address string) (string, error)
	// Pattern gives what stands for many addresses as the suppression list writes it, such as
	// *@example.com, and its hash; many is false for a text that means to be none. Nil: none.
	Pattern func(text string) (canonical, hash string, many bool, err error)
	// Wider gives the hashes of the patterns of the suppression list that an address falls
	// under: its domain, those above, its mailbox provider. Nil: not known.
	Wider func(address, mailboxProvider string) []string
	Now   func() time.Time
	Log   *zap.Logger
	// Registry takes the numbers of the pages.
	Registry prometheus.Registerer
}

// Site serves the pages.
type Site struct {
	Options
	templates map[string]*template.Template
	metrics   *metrics
	trying    chan struct{} // has a value while rules are tried on the past
}

// New returns the handler of all pages.
func New(opt Options) (http.Handler, error) {
	s := &Site{Options: opt, trying: make(chan struct{}, 1), metrics: newMetrics(opt.Registry)}
	var err error
	if s.templates, err = parse(); err != nil {
		return nil, err
	}
	static, err := newAssets(func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, notFound("There is no such file.")) })
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for pattern, h := range s.unguarded(static) {
		mux.Handle(pattern, h)
	}
	for pattern, r := range s.routes() {
		mux.HandleFunc(pattern, s.visit(r))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.noPage(w, r, mux) })
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, fault{Status: http.StatusForbidden, Title: "This form came from another site", Detail: "The browser says that another site sent it, so nothing was changed.", Next: "Open the page here and try it from there. Behind a proxy, the proxy must pass on the Host header."})
	}))
	all, err := packed(guard.Handler(mux))
	if err != nil {
		return nil, err
	}
	return headers(all), nil
}

// noPage answers what no route takes: an address that is none, or one that is only looked
// at or only sent to.
func (s *Site) noPage(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	var takes []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" && pattern != "" {
			takes = append(takes, method)
		}
	}
	if len(takes) > 0 {
		w.Header().Set("Allow", strings.Replace(strings.Join(takes, ", "), http.MethodGet, "GET, HEAD", 1)) // what is looked at has a HEAD, too
		s.fail(w, r, fault{Status: http.StatusMethodNotAllowed, Title: "Not in this way", Detail: "This address takes " + strings.Join(takes, " and ") + " only, so nothing was changed.", Next: "Use the form of the page that leads here."})
		return
	}
	s.fail(w, r, notFound("There is no such page."))
}

// route is a page or a form, the role it needs, and the fields that a form takes.
type route struct {
	needs auth.Role
	serve func(*visit) (view, error)
	takes []string
	again func(*visit) (view, error) // the page with the form, for one that is refused; nil for none
}

// unguarded are the pages that need no role, by method and path.
func (s *Site) unguarded(static http.Handler) map[string]http.Handler {
	return map[string]http.Handler{
		"GET /static/":             http.StripPrefix("/static/", static),
		"GET /login":               http.HandlerFunc(s.loginForm),
		"POST /login":              http.HandlerFunc(s.login),
		"POST /logout":             http.HandlerFunc(s.logout),
		"GET /login/oidc":          http.HandlerFunc(s.loginOIDC),
		"GET /login/oidc/callback": http.HandlerFunc(s.loginOIDCEnd),
	}
}

// routes are all pages and forms that need a role, by method and path.
func (s *Site) routes() map[string]route {
	letters := []string{"service", "reason", "provider", "source", "note", "dry_run"}
	return map[string]route{
		// What is only looked at.
		"GET /{$}":                    {auth.Viewer, s.overview, nil, nil},
		"GET /sources/{name}":         {auth.Viewer, s.source, nil, nil},
		"GET /deliverability":         {auth.Viewer, s.deliverability, nil, s.deliverabilityForm},
		"GET /incidents":              {auth.Viewer, s.incidents, nil, nil},
		"GET /incidents/{id}":         {auth.Viewer, s.incident, nil, nil},
		"GET /search":                 {auth.Support, s.searchForm, nil, nil},
		"GET /people/{hash}":          {auth.Support, s.person, nil, nil},
		"GET /messages/{source}/{id}": {auth.Support, s.message, nil, nil},
		"GET /suppressions":           {auth.Viewer, s.suppressions, nil, nil},
		"GET /suppressions/export":    {auth.Admin, s.export, nil, nil},
		"GET /dead-letters":           {auth.Viewer, s.deadLetters, nil, nil},
		"GET /rules":                  {auth.Viewer, s.rules, nil, nil},
		"GET /audit":                  {auth.Admin, s.audit, nil, nil},
		// The forms.
		"POST /search":                            {auth.Support, s.search, []string{"q"}, s.searchForm},
		"POST /suppressions/check":                {auth.Support, s.checkAddress, []string{"address"}, s.suppressions},
		"POST /suppressions/add":                  {auth.Operator, s.addSuppression, []string{"address", "note", "scope", "expires"}, s.suppressions},
		"POST /suppressions/lift":                 {auth.Operator, s.liftSuppression, []string{"address", "note", "consent", "only"}, s.checkAddress},
		"POST /suppressions/import":               {auth.Admin, s.importSuppressions, []string{"file", "dry_run"}, s.suppressions},
		"POST /incidents/{id}/ack":                {auth.Operator, s.acknowledge, []string{"note"}, s.incident},
		"POST /incidents/{id}/notes":              {auth.Operator, s.note, []string{"note"}, s.incident},
		"POST /incidents/{id}/silence":            {auth.Operator, s.silence, []string{"for", "comment"}, s.incident},
		"POST /silences/{id}/end":                 {auth.Operator, s.endSilence, nil, s.incidents},
		"POST /rules/backtest":                    {auth.Operator, s.backtest, nil, s.rules},
		"POST /dead-letters/redrive":              {auth.Operator, s.redrive, letters, s.deadLetters},
		"POST /dead-letters/operations/{id}/stop": {auth.Operator, s.stopOperation, nil, s.deadLetters},
		"POST /dead-letters/discard":              {auth.Admin, s.discard, letters, s.deadLetters},
	}
}

// policy has a page run and show only what is embedded here, be framed by nobody, and
// send forms only here.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// headers are on every answer. No address of a page leaves as a Referer.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
