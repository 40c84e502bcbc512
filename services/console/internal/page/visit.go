package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// bodyBytesMax bounds a form: an import of some 100,000 addresses.
const bodyBytesMax = 8 << 20

// visit is one request of somebody who may make it.
type visit struct {
	*http.Request
	user    auth.User
	notices []string
	answers history.Watch // how old the numbers are
	read    bool          // all that was sent is there
}

// view is what a page shows: Data by the template called name, or as JSON.
type view struct {
	name, title string
	data        any
	goTo        string // instead of a page: where a form leads to
	csv         [][]string
	status      int // of the page and its twin, 0 for 200
}

// frame is what the template of every page is given.
type frame struct {
	Title   string
	Path    string
	User    auth.User
	SignOut bool
	Notices []string
	AsOf    *age // of the oldest numbers, where they are not of now
	Done    string
	Refused *refused // a form of the page that was not taken; nil for none
	Data    any
}

// Lacks says whether a part did not answer: what is empty then is not known.
func (f frame) Lacks(part string) bool {
	return slices.ContainsFunc(f.Notices, func(notice string) bool {
		name, _, _ := strings.Cut(notice, ": ")
		return partLabel(name) == part
	})
}

// visit lets those with a role in, loads the page and shows it.
func (s *Site) visit(to route) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		w := &answer{ResponseWriter: out, status: http.StatusOK}
		began := time.Now()
		defer func() { s.metrics.answered(w.status, time.Since(began)) }()
		user, err := s.Gate.User(r)
		r = known(r, user)
		if err != nil {
			s.turnAway(w, r, err, unsent(w, r, to, err))
			return
		}
		v := &visit{user: user}
		v.Request = r.WithContext(history.Watched(peer.For(r.Context(), cmp.Or(user.Name, "console"), user.Role.String()), &v.answers))
		if !user.May(to.needs) {
			s.fail(w, r, fault{Status: http.StatusForbidden, Title: "Your role does not reach here", Detail: fmt.Sprintf("This needs the role %s; you are %s.", to.needs, user.Role), Next: "Ask an admin of the console for the role."})
			return
		}
		if err := v.parse(w, to.takes); err != nil {
			s.refuse(w, v, to, err)
			return
		}
		shown, err := to.serve(v)
		if r.Method == http.MethodPost {
			s.History.Forget() // also after an error: the change may have been made
		}
		if err != nil {
			s.refuse(w, v, to, err)
			return
		}
		s.show(w, v, shown)
	}
}

// userKey finds who makes a request in its context.
type userKey struct{}

// known keeps who makes a request, so that a page of an error does not look at the
// password again: a wrong one would count twice.
func known(r *http.Request, user auth.User) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), userKey{}, user))
}

// userOf is who makes the request; nobody has no role.
func (s *Site) userOf(r *http.Request) auth.User {
	user, ok := r.Context().Value(userKey{}).(auth.User)
	if !ok {
		user, _ = s.Gate.User(r)
	}
	return user
}

// answer remembers the status of what is answered.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader sends the status.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController, which MaxBytesReader and others use.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// parse reads query and form, each bounded; a form has no fields but those it takes.
func (v *visit) parse(w http.ResponseWriter, takes []string) error {
	if _, err := url.ParseQuery(v.URL.RawQuery); err != nil {
		return badInput("The part of the address after ? is not URL-encoded.", "Start from the page without it.")
	}
	if v.Method != http.MethodPost {
		v.read = true
		return nil
	}
	if v.URL.RawQuery != "" {
		return badInput("What is sent does not belong in the address: it would be in logs and histories.", "Send it in the form; nothing was changed.")
	}
	if coding := v.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return fault{Status: http.StatusUnsupportedMediaType, Title: "This is not a form", Detail: fmt.Sprintf("The content encoding %.60q is not known here.", coding), Next: "Send it as it is; nothing was changed."}
	}
	v.Body = http.MaxBytesReader(w, v.Body, bodyBytesMax)
	kind, _, err := mime.ParseMediaType(v.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		err = v.parseJSON()
	case err == nil && kind == "multipart/form-data":
		err = v.ParseMultipartForm(bodyBytesMax)
	case v.ContentLength == 0 || kind == "application/x-www-form-urlencoded" || kind == "" && v.hasNoBody():
		err = v.ParseForm()
	default: // also a type that cannot be read
		return fault{Status: http.StatusUnsupportedMediaType, Title: "This is not a form", Detail: fmt.Sprintf("The content type %.60q is not known here.", v.Header.Get("Content-Type")), Next: "Send application/x-www-form-urlencoded, multipart/form-data or application/json; nothing was changed."}
	}
	if err != nil {
		return bodyFault(err)
	}
	v.read = true
	return v.check(takes)
}

// hasNoBody says whether nothing is sent, also by who says no length, such as a proxy.
func (v *visit) hasNoBody() bool {
	var first [1]byte
	_, err := io.ReadFull(v.Body, first[:])
	return errors.Is(err, io.EOF)
}

// check refuses a form with a field that it does not take, or that is there twice, or is
// no text.
func (v *visit) check(takes []string) error {
	if err := once(v.PostForm); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(v.PostForm))
	if v.MultipartForm != nil {
		for name, files := range v.MultipartForm.File {
			if names = append(names, name); len(files) > 1 {
				return twice(name, len(files))
			}
		}
	}
	for _, name := range names {
		if !slices.Contains(takes, name) {
			return badInput(fmt.Sprintf("The field %.40q is not one of this form.", name), takesFields(takes)+" Nothing was changed.")
		}
		if !utf8.ValidString(v.PostForm.Get(name)) {
			return badInput(fmt.Sprintf("The field %.40q is not text in UTF-8.", name), "Send it as UTF-8; nothing was changed.").of(name)
		}
	}
	return nil
}

// choice reads a field that has few values, "" where it is not sent; another one is
// refused, as it may mean any of them.
func (v *visit) choice(name string, values ...string) (string, error) {
	word := v.PostForm.Get(name)
	if word != "" && !slices.Contains(values, word) {
		return "", badInput(fmt.Sprintf("%.40q is not a value of %s.", word, name), "Send "+strings.Join(values, " or ")+", or leave it out; nothing was changed.").of(name)
	}
	return word, nil
}

// bodyFault says why a form could not be read.
func bodyFault(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault{Status: http.StatusRequestEntityTooLarge, Title: "This is too large for a page", Detail: fmt.Sprintf("A form may have %d MiB; nothing was changed.", bodyBytesMax>>20), Next: "Send it in parts; mailstream suppressions import takes a file of any size."}
	}
	if own, ok := errors.AsType[fault](err); ok {
		return own
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault{Status: http.StatusRequestTimeout, Title: "This took too long", Detail: "The form did not arrive whole in time; nothing was changed.", Next: "Send it again, over a faster line."}
	}
	return badInput("The form is not complete.", "Send it again; nothing was changed.")
}

// once refuses a field that is there twice: which one counts would be a guess.
func once(fields url.Values) error {
	for name, values := range fields {
		if len(values) > 1 {
			return twice(name, len(values))
		}
	}
	return nil
}

func twice(name string, times int) error {
	return badInput(fmt.Sprintf("The field %.40q is there %d times.", name, times), "Send it once; nothing was changed.")
}

// parseJSON takes an object of texts in place of a form.
func (v *visit) parseJSON() error {
	text, err := io.ReadAll(v.Body)
	if err != nil {
		return err
	}
	v.PostForm, err = textsOf(text)
	v.Form = v.PostForm
	return err
}

// textsOf reads a JSON object of texts; a name that is there twice has both.
func textsOf(text []byte) (url.Values, error) {
	fields, in := url.Values{}, json.NewDecoder(bytes.NewReader(text))
	none := badInput("The body is not a JSON object of texts.", "Send {\"name\":\"value\"}, or a form; nothing was changed.")
	if open, err := in.Token(); err != nil || open != json.Delim('{') || !json.Valid(text) {
		return nil, none
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, none
		}
		value, err := in.Token()
		word, isText := value.(string)
		if err != nil || !isText {
			return nil, none
		}
		fields.Add(fmt.Sprint(name), word)
	}
	return fields, nil
}

// only refuses a query with other parameters than names, and the same one twice.
func (v *visit) only(names ...string) (url.Values, error) {
	q := v.URL.Query()
	for name, values := range q {
		if !slices.Contains(names, name) || len(values) > 1 {
			return nil, badInput(fmt.Sprintf("The address has a parameter %.40q, which this page does not take, or takes once.", name), takes(names))
		}
	}
	return q, nil
}

// oneOf reads a parameter that is one of some words, usual where it is not there.
func oneOf(q url.Values, name, usual string, words []string) (string, error) {
	if !q.Has(name) {
		return usual, nil
	}
	word := q.Get(name)
	if !slices.Contains(words, word) {
		return "", badInput(fmt.Sprintf("%.40q is not a value of %s.", word, name), fmt.Sprintf("Leave it out, or choose one of %s.", strings.Join(words, ", "))).of(name)
	}
	return word, nil
}

// takesFields lists the fields of a form.
func takesFields(names []string) string {
	if len(names) == 0 {
		return "This form takes none."
	}
	return "Known are: " + strings.Join(names, ", ") + "."
}

// takes lists the parameters of a page.
func takes(names []string) string {
	if len(names) == 0 {
		return "This page takes none."
	}
	return "Known are: " + strings.Join(names, ", ") + "."
}

// notice says on the page that something is missing; err nil says nothing.
func (s *Site) notice(v *visit, what string, err error) bool {
	if err == nil {
		return false
	}
	s.metrics.missing.WithLabelValues(partLabel(what)).Inc()
	why := "it does not answer"
	refused, isRefusal := errors.AsType[*peer.Refused](err)
	switch {
	case isRefusal:
		why = strings.TrimSuffix(refused.Says(), ".")
	case what == partClickHouse && fate.Of(err) == fate.Halt:
		why = "it does not let the console in: check console.clickhouse"
	}
	s.Log.Warn("part of a page is missing", telemetry.Name(what), telemetry.Err(err))
	if text := what + ": " + why + "."; !slices.Contains(v.notices, text) {
		v.notices = append(v.notices, text)
	}
	return true
}

// wantsJSON says whether a program asks: JSON has a greater weight than a page, or the same
// and is named first (RFC 9110, 12.5.1). Who names neither gets a page.
func wantsJSON(r *http.Request) bool {
	best, wants := 0.0, false
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		isJSON := kind == "application/json" || strings.HasSuffix(kind, "+json")
		if err != nil || !isJSON && kind != "text/html" {
			continue
		}
		weight, err := strconv.ParseFloat(params["q"], 64)
		if err != nil {
			weight = 1
		}
		if weight > best {
			best, wants = weight, isJSON
		}
	}
	return wants
}

// envelope is the twin of every page, and of what a form leads to.
type envelope struct {
	Notices []string `json:"notices,omitempty"`
	AsOf    *age     `json:"counted,omitempty"`
	Data    any      `json:"data,omitempty"`
	GoTo    string   `json:"go_to,omitempty"`
}

// show answers with the page, its twin or what the form leads to.
func (s *Site) show(w http.ResponseWriter, v *visit, shown view) {
	w.Header().Add("Vary", "Accept")
	switch {
	case shown.csv != nil:
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+shown.name+`.csv"`)
		out := csv.NewWriter(w)
		_ = out.WriteAll(harmless(shown.csv)) // an error means that the client has gone
	case wantsJSON(v.Request):
		writeJSON(w, cmp.Or(shown.status, http.StatusOK), envelope{v.notices, s.asOf(v), shown.data, shown.goTo})
	case shown.goTo != "":
		http.Redirect(w, v.Request, shown.goTo, http.StatusSeeOther)
	default:
		s.render(w, cmp.Or(shown.status, http.StatusOK), shown.name, s.frameOf(v, shown))
	}
}

// frameOf is what is around what a page shows.
func (s *Site) frameOf(v *visit, shown view) frame {
	return frame{Title: shown.title, Path: pathOf(v.Request), User: v.user, SignOut: v.user.Browser, Notices: v.notices, AsOf: s.asOf(v), Done: doneOf(v.Request), Data: shown.data}
}

// pathOf is where a page is read again: that of a form has no page.
func pathOf(r *http.Request) string {
	if r.Method != http.MethodPost {
		return r.URL.Path
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "incidents": // each has a page with its forms
		return r.URL.Path[:strings.LastIndexByte(r.URL.Path, '/')]
	case "silences":
		return "/incidents"
	}
	return "/" + first
}

// asOfMin is from which age on a page says how old its numbers are.
const asOfMin = 5 * time.Second

// age is how old the oldest numbers of a page are.
type age struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds_ago"`
}

// asOf returns the age of the numbers, nil of those of now.
func (s *Site) asOf(v *visit) *age {
	oldest := v.answers.Oldest().UTC()
	old := s.Now().Sub(oldest).Round(time.Second)
	if oldest.IsZero() || old < asOfMin {
		return nil
	}
	return &age{oldest, old.Seconds()}
}

// formulaMarks begin what a spreadsheet runs; some take the wide forms of East Asia, too.
const formulaMarks = "=+-@\t\r\n＝＋－＠"

// harmless keeps spreadsheets from running a cell that a sender wrote.
func harmless(rows [][]string) [][]string {
	for _, row := range rows {
		for i, cell := range row {
			if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune(formulaMarks, first) {
				row[i] = "'" + cell
			}
		}
	}
	return rows
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has gone
}

// render shows a template.
func (s *Site) render(w http.ResponseWriter, status int, name string, f frame) {
	text, ok := s.fill(name, f)
	if !ok {
		http.Error(w, "The page could not be shown; the log of the console says why.", http.StatusInternalServerError)
		return
	}
	sendPage(w, status, text)
}

// fill fills a template whole before the first byte leaves.
func (s *Site) fill(name string, f frame) (text []byte, ok bool) {
	var out bytes.Buffer
	if err := s.templates[name].ExecuteTemplate(&out, "base", f); err != nil {
		s.Log.Error("page was not rendered", telemetry.Name(name), telemetry.Err(err))
		return nil, false
	}
	return out.Bytes(), true
}

func sendPage(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text) // an error means that the client has gone
}
