package slack

import (
	"embed"
	"encoding/json"
	"html/template"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed page.html style.css
var files embed.FS

var pageTemplate = template.Must(template.ParseFS(files, "page.html"))

// shownMax bounds the messages of the page; the JSON list has all.
const shownMax = 100

// securityPolicy lets the page load its own style sheet and nothing else: what
// it shows was written by others.
const securityPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the webhook, the page and the interface for tests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+webhookPath, s.serveWebhook)
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /messages", s.serveMessages)
	mux.HandleFunc("DELETE /messages", func(w http.ResponseWriter, _ *http.Request) {
		s.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /faults", s.serveFaults)
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		s.Heal()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// serveMessages answers with all messages, oldest first.
func (s *Server) serveMessages(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", contentTypeJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(struct { // an error means that the client has gone
		Messages []Message `json:"messages"`
		Posts    int       `json:"posts"`
	}{s.Messages(), s.Posts()})
}

// serveFaults orders one fault. It wants JSON, which a page of another origin
// cannot post without asking.
func (s *Server) serveFaults(w http.ResponseWriter, r *http.Request) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != contentTypeJSON {
		plain(w, http.StatusUnsupportedMediaType, "send application/json")
		return
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, faultsBytesMax))
	dec.DisallowUnknownFields()
	var f Fault
	if err := dec.Decode(&f); err != nil {
		plain(w, http.StatusBadRequest, "fault does not parse")
		return
	}
	if err := s.Order(f); err != nil {
		plain(w, http.StatusBadRequest, err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	css, err := files.ReadFile("style.css")
	if err != nil {
		plain(w, http.StatusInternalServerError, "no style")
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(css) // an error means that the client has gone
}

// view is what the page shows of a message.
type view struct {
	At     string
	Text   []span
	Blocks []blockView
}

type blockView struct {
	Type  string
	Text  []span
	Cells [][]span // fields or elements
}

// servePage shows the messages, the latest first.
func (s *Server) servePage(w http.ResponseWriter, _ *http.Request) {
	messages := s.Messages()
	total := len(messages)
	slices.Reverse(messages)
	views := make([]view, 0, min(total, shownMax))
	for _, m := range messages[:min(total, shownMax)] {
		views = append(views, viewOf(m))
	}
	var page strings.Builder
	if err := pageTemplate.Execute(&page, struct {
		Views []view
		Total int
	}{views, total}); err != nil {
		plain(w, http.StatusInternalServerError, "page does not render")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", securityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, page.String()) // an error means that the client has gone
}

func viewOf(m Message) view {
	v := view{At: m.At.Local().Format(time.DateTime)}
	if len(m.Blocks) == 0 {
		v.Text = markup(m.Text)
	}
	for _, b := range m.Blocks {
		bv := blockView{Type: b.Type}
		if b.Text != nil {
			bv.Text = spans(*b.Text)
		}
		for _, t := range append(append([]Text{}, b.Fields...), b.Elements...) {
			bv.Cells = append(bv.Cells, spans(t))
		}
		v.Blocks = append(v.Blocks, bv)
	}
	return v
}

func spans(t Text) []span {
	if t.Type == typePlainText {
		return []span{{Text: t.Text}}
	}
	return markup(t.Text)
}
