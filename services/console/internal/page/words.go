package page

import (
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// parse reads every page with the frame around it.
func parse() (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(functions()).ParseFS(templateFiles, "templates/base.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		short := strings.TrimSuffix(path.Base(name), ".html")
		if short == "base" || short == "parts" {
			continue
		}
		copied, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if pages[short], err = copied.ParseFS(templateFiles, name); err != nil {
			return nil, fmt.Errorf("parse template %s: %w", short, err)
		}
	}
	return pages, nil
}

func functions() template.FuncMap {
	return template.FuncMap{
		"num":      thousands,
		"count":    count,
		"one":      number,
		"decimal":  decimal,
		"share":    share,
		"when":     when,
		"ago":      ago,
		"span":     span,
		"bytes":    byteSize,
		"may":      func(u auth.User, role string) bool { r, err := auth.ParseRole(role); return err == nil && u.May(r) },
		"segment":  segment,
		"message":  messagePath,
		"short":    short,
		"breaks":   breaks,
		"words":    words,
		"at":       nav,
		"labels":   isolated,
		"scope":    scopeWords,
		"judged":   judgedWords,
		"answered": answered,
		"statusOf": statusOf,
		"yes":      func(b *bool) bool { return b != nil && *b },
		"no":       func(b *bool) bool { return b != nil && !*b },
		"reply":    reply,
		"rateOf":   func(part, of uint64) Rate { return Rate{part, of} },
		"list":     func(items ...string) []string { return items },
		"part":     func(pairs ...any) map[string]any { return dict(pairs) },
	}
}

// words writes a name of the pipeline for people.
func words(name string) string {
	return strings.NewReplacer("sending_ip", "sending IP", "ip_pool", "IP pool", "_", " ").Replace(name)
}

// oddForm is a part of a path that cannot be as it is, escaped or not: dots alone lead
// elsewhere in browsers (RFC 3986, 5.2.4), a slash alone is the end of a path to http.ServeMux.
// Behind a tilde they are a name; one that is written so has one tilde more.
var oddForm = regexp.MustCompile(`^~*(?:\.{1,2}|/)$`)

// segment writes a text as one part of a path of a page; named reads it.
func segment(text string) string {
	if oddForm.MatchString(text) {
		return "~" + url.PathEscape(text)
	}
	return url.PathEscape(text)
}

// escaped writes a text as one part of a path of a service, which no browser reads.
func escaped(text string) string {
	if text == "." || text == ".." {
		return strings.ReplaceAll(text, ".", "%2E")
	}
	return url.PathEscape(text)
}

// named is the part of the path of a page that segment wrote.
func (v *visit) named(part string) string {
	text := v.PathValue(part)
	if strings.HasPrefix(text, "~") && oddForm.MatchString(text) {
		return text[1:]
	}
	return text
}

// idBytesMax bounds the id of a message that has a page: providers have at most 998 characters,
// a line of a header (RFC 5322, 2.1.1), of up to four bytes.
const idBytesMax = 4_000

// messagePath is where the page of a message is, "" for an id that has none.
func messagePath(source, id string) string {
	if source == "" || id == "" || len(id) > idBytesMax {
		return ""
	}
	return "/messages/" + segment(source) + "/" + segment(id)
}

// breaks lets a name break behind its underscores.
func breaks(name string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(name), "_", "_<wbr>")) // escaped, but for what is added
}

func dict(pairs []any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, ok := pairs[i].(string); ok {
			m[name] = pairs[i+1]
		}
	}
	return m
}

// reply writes what a remote server answered, with the codes that its text lacks: the
// code, the enhanced one (RFC 3463), the text.
func reply(code uint16, enhanced, text string) string {
	words := strings.Fields(text)
	first := ""
	if len(words) > 0 {
		_, after, typed := strings.Cut(words[0], ";") // smtp;550 of a report (RFC 3464, 2.3.6)
		if first = words[0]; typed {
			first = after
		}
	}
	has := code > 0 && strings.HasPrefix(first, strconv.Itoa(int(code)))
	lacks := enhanced != "" && !strings.Contains(text, enhanced)
	switch {
	case has && lacks && len(first) == 3:
		return words[0] + " " + enhanced + strings.TrimPrefix(strings.TrimSpace(text), words[0])
	case lacks:
		text = enhanced + " " + text
	}
	if code > 0 && !has {
		text = strconv.Itoa(int(code)) + " " + text
	}
	return strings.TrimSpace(text)
}

// thousands writes a whole number with separators, 12,345.
func thousands(v any) string {
	var text string
	switch n := v.(type) {
	case *int64:
		return thousands(*n)
	case uint64:
		text = strconv.FormatUint(n, 10)
	case int64:
		text = strconv.FormatInt(n, 10)
	case int:
		text = strconv.Itoa(n)
	default:
		return fmt.Sprint(v)
	}
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// count writes how many of a thing there are: 1 event, 2,000 events. More is what to
// write of several where an s behind one does not do.
func count(v any, one string, more ...string) string {
	return thousands(v) + " " + number(v, one, more...)
}

// number is the word of count alone.
func number(v any, one string, more ...string) string {
	switch {
	case thousands(v) == "1":
		return one
	case len(more) > 0:
		return more[0]
	}
	return one + "s"
}

// decimal writes a number with the digits that matter.
func decimal(v float64) string {
	if math.Abs(v) >= 100 {
		return thousands(int64(math.Round(v)))
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// share writes a part of one as percent, with two digits where one would hide whether there
// is any, or all: complaints are judged by 0.1 and 0.3 %. It keeps the sign with its number,
// by a space that does not break. The script of the pages writes the same.
func share(v float64) string {
	const none, some = 0.00005, 0.01 // below none two digits hide it, too
	digits := 1
	switch {
	case v > 0 && v < none:
		return "<\u00a00.01\u00a0%"
	case v > 1-none && v < 1:
		return ">\u00a099.99\u00a0%"
	case v > 0 && v < some, v > 1-some && v < 1:
		digits = 2
	}
	return strconv.FormatFloat(v*100, 'f', digits, 64) + "\u00a0%"
}

// when writes a moment so that a browser can show it in the viewer's zone.
func when(t any) template.HTML {
	at, ok := moment(t)
	if !ok {
		return "never"
	}
	at = at.UTC()
	// Both texts are made of digits here.
	return template.HTML(`<time datetime="` + at.Format("2006-01-02T15:04:05.999Z07:00") + `" title="` + at.Format("2006-01-02 15:04:05") + ` UTC">` + at.Format("2006-01-02 15:04") + ` UTC</time>`)
}

func moment(t any) (time.Time, bool) {
	switch at := t.(type) {
	case time.Time:
		return at, !at.IsZero()
	case *time.Time:
		if at != nil {
			return *at, !at.IsZero()
		}
	}
	return time.Time{}, false
}

// ago writes how long ago a moment was.
func ago(t any, now time.Time) string {
	at, ok := moment(t)
	if !ok {
		return "never"
	}
	return span(now.Sub(at).Seconds()) + " ago"
}

// span writes a duration of seconds in the unit that fits.
func span(seconds float64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	switch {
	case seconds < 1:
		return sign + strconv.Itoa(int(seconds*1000)) + " ms"
	case seconds < 120:
		return sign + strconv.Itoa(int(seconds)) + " s"
	case seconds < 2*3600:
		return sign + strconv.Itoa(int(seconds/60)) + " min"
	case seconds < 48*3600:
		return sign + strconv.Itoa(int(seconds/3600)) + " h"
	default:
		return sign + strconv.Itoa(int(seconds/86400)) + " d"
	}
}

func byteSize(n uint64) string {
	switch {
	case n < 1<<10:
		return thousands(n) + " B"
	case n < 1<<20:
		return decimal(float64(n)/(1<<10)) + " KiB"
	default:
		return decimal(float64(n)/(1<<20)) + " MiB"
	}
}

// short writes the beginning of a hash.
func short(hash string) string {
	const shown = 12
	if len(hash) <= shown {
		return hash
	}
	return hash[:shown] + "…"
}

// nav says whether an entry of the menu is that of the page.
func nav(path, entry string) bool {
	return path == entry || entry != "/" && strings.HasPrefix(path, entry+"/")
}

// labelWords says what an alert is about, to whom it does not matter.
func labelWords(labels map[string]string) string {
	var parts []string
	for _, name := range []string{"recipient_domain", "mailbox_provider", "campaign", "sending_ip", "sending_domain", "ip_pool", "tag", "source", "receiver"} {
		if value := labels[name]; value != "" {
			parts = append(parts, words(name)+" "+Redact(value))
		}
	}
	if len(parts) == 0 {
		return "all mail"
	}
	return strings.Join(parts, ", ")
}

// isolated is labelWords for a page: a value of another direction of writing does not turn
// its neighbours round.
func isolated(labels map[string]string) template.HTML {
	quoted := make(map[string]string, len(labels))
	for name, value := range labels {
		if value != "" {
			quoted[name] = "<bdi>" + template.HTMLEscapeString(Redact(value)) + "</bdi>"
		}
	}
	return template.HTML(labelWords(quoted)) // escaped, but for what is added
}

// scopeWords says what an entry of the suppression list forbids.
func scopeWords(scope string) string {
	kind, name, _ := strings.Cut(scope, ":")
	switch kind {
	case "account":
		return "all mail"
	case "stream":
		return "the stream " + name
	case "source":
		return "mail by " + name
	case "list":
		return "the list " + name
	}
	return scope
}

// judgedWords says how a rule is judged.
func judgedWords(judged string) string {
	switch judged {
	case JudgedStream:
		return "from the stream, every second"
	case JudgedSQL:
		return "from ClickHouse, every few minutes"
	}
	return "switched off"
}

// answeredCodes are what a reply begins with: the code, and the enhanced one.
var answeredCodes = regexp.MustCompile(`^(?:\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3})?|\d\.\d{1,3}\.\d{1,3})(?:[ -]|$)`)

// serverReply is the answer of a remote server: its codes, which are read from left to right, and its text,
// which may be of any direction.
type serverReply struct{ Codes, Text string }

// answered takes a reply apart.
func answered(text string) serverReply {
	codes := answeredCodes.FindString(text)
	return serverReply{strings.TrimRight(codes, " -"), strings.TrimSpace(text[len(codes):])}
}

// windowWords writes the length of a window, such as 15m.
func windowWords(d time.Duration) string { return config.FormatDuration(d) }

// statusOf gives a state the class of its colour: good, bad, warn or none.
func statusOf(state string) string {
	switch state {
	case "firing", "bounced", "blocked", "complained", "failed", "cut", "hard_bounce", "complaint", "critical":
		return "bad"
	case "pending", "recovering", "deferred", "quiet", "unsubscribed", "warning", "waiting", "running", "stopped":
		return "warn"
	case "resolved", "delivered", "receiving", "ok", "opened", "clicked", "subscribed", "done":
		return "good"
	}
	return "none"
}

// doneWords say what a form did; a page is asked for with the key.
func doneWords() map[string]string {
	return map[string]string{
		"added": "The address is on the list.", "lifted": "The suppression was lifted.", "acknowledged": "You have acknowledged the incident.",
		"noted": "Your note was added.", "silenced": "The silence holds.", "ended": "The silence has ended.", "imported": "The file was imported.",
		"redriven": "The dead letters are on their way through the pipeline.", "discarded": "The dead letters are being discarded.", "stopped": "The operation stops.",
	}
}

// doneOf is what the form did that led to a page, "" where none did: a link on another site,
// or a bookmark, must not say that something was done. A browser that does not tell where it
// comes from is believed.
func doneOf(r *http.Request) string {
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" {
		return ""
	}
	return doneWords()[r.URL.Query().Get("done")]
}

// masked is address.Mask; many a variable here is called address.
func masked(text string) string { return address.Mask(text) }

// Redact masks the addresses in a text of a provider.
func Redact(text string) string { return address.Redact(text) }

// Rate is a part of a whole, with how much the whole is.
type Rate struct {
	Part uint64 `json:"part"`
	Of   uint64 `json:"n"`
}

// fewMax is below what a rate says little: it is grey, with its interval.
const fewMax = 50

// Value is the part of one.
func (r Rate) Value() float64 {
	if r.Of == 0 {
		return 0
	}
	return float64(r.Part) / float64(r.Of)
}

// Few says that there is too little to judge by.
func (r Rate) Few() bool { return r.Of < fewMax }

// Interval is the Wilson interval of 95 %, for a rate of few; "" where there is none: of
// nothing, and of more than all, as of complaints about mail of before.
func (r Rate) Interval() string {
	if r.Of == 0 || r.Part > r.Of {
		return ""
	}
	low, high := r.bounds()
	return fmt.Sprintf("%.0f to %.0f\u00a0%%", low*100, high*100)
}

// bounds are the ends of the interval of a rate of something.
func (r Rate) bounds() (low, high float64) {
	const z = 1.96
	n, p := float64(r.Of), min(1, r.Value())
	middle, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, (middle-half)/(1+z*z/n)), min(1, (middle+half)/(1+z*z/n))
}

// MarshalJSON adds the rate itself.
func (r Rate) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"part":%d,"n":%d,"rate":%s}`, r.Part, r.Of, strconv.FormatFloat(r.Value(), 'f', -1, 64)), nil
}
