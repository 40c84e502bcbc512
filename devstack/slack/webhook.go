package slack

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// Slack's limits for a message, in characters unless it says otherwise.
const (
	bodyBytesMax    = 1 << 20
	textMax         = 40_000
	blocksMax       = 50 // blocks of a message
	headerTextMax   = 150
	sectionTextMax  = 3_000
	fieldsMax       = 10 // fields of a section
	fieldTextMax    = 2_000
	elementsMax     = 10 // elements of a context
	allBlocksMax    = 13_200
	faultsBytesMax  = 64 << 10
	emptyMessage    = "no_text"
	invalidPayload  = "invalid_payload"
	invalidBlocks   = "invalid_blocks"
	tooLong         = "msg_too_long"
	blocksTooLong   = "msg_blocks_too_long"
	typeHeader      = "header"
	typeSection     = "section"
	typeContext     = "context"
	typeDivider     = "divider"
	typePlainText   = "plain_text"
	typeMarkup      = "mrkdwn"
	contentTypeJSON = "application/json"
	contentTypeForm = "application/x-www-form-urlencoded"
)

// Block is one block of a message, as far as it is shown.
type Block struct {
	Type     string `json:"type"`
	Text     *Text  `json:"text,omitempty"`
	Fields   []Text `json:"fields,omitempty"`
	Elements []Text `json:"elements,omitempty"`
}

// Text is a text object.
type Text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// serveWebhook takes a message as an incoming webhook does.
func (s *Server) serveWebhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytesMax))
	if f, struck := s.next(); struck && f.strike(w, r) {
		return
	}
	if err != nil {
		plain(w, http.StatusBadRequest, invalidPayload)
		return
	}
	m := Message{At: s.now().UTC(), Path: r.URL.Path}
	if word := parse(r.Header.Get("Content-Type"), body, &m); word != "" {
		plain(w, http.StatusBadRequest, word)
		return
	}
	s.keep(m)
	plain(w, http.StatusOK, "ok")
}

// parse reads a body into m and returns Slack's word for what is wrong with it,
// "" for nothing.
func parse(contentType string, body []byte, m *Message) string {
	if media, _, err := mime.ParseMediaType(contentType); err == nil && media == contentTypeForm {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return invalidPayload
		}
		body = []byte(form.Get("payload"))
	}
	if !utf8.Valid(body) || json.Unmarshal(body, m) != nil {
		return invalidPayload
	}
	if m.Text == "" && len(m.Blocks) == 0 {
		return emptyMessage
	}
	if utf8.RuneCountInString(m.Text) > textMax {
		return tooLong
	}
	return checkBlocks(m.Blocks)
}

func checkBlocks(blocks []Block) string {
	if len(blocks) > blocksMax {
		return invalidBlocks
	}
	sum := 0
	for _, b := range blocks {
		if !b.valid() {
			return invalidBlocks
		}
		sum += b.size()
	}
	if sum > allBlocksMax {
		return blocksTooLong
	}
	return ""
}

// valid says whether Slack would show the block.
func (b Block) valid() bool {
	switch b.Type {
	case typeDivider:
		return true
	case typeHeader:
		return b.Text != nil && b.Text.Type == typePlainText && within(b.Text.Text, headerTextMax)
	case typeSection:
		if b.Text == nil && len(b.Fields) == 0 || len(b.Fields) > fieldsMax {
			return false
		}
		if b.Text != nil && (!b.Text.valid() || !within(b.Text.Text, sectionTextMax)) {
			return false
		}
		return allWithin(b.Fields, fieldTextMax)
	case typeContext:
		return len(b.Elements) > 0 && len(b.Elements) <= elementsMax && allWithin(b.Elements, sectionTextMax)
	default:
		return false
	}
}

func (b Block) size() int {
	n := 0
	if b.Text != nil {
		n = utf8.RuneCountInString(b.Text.Text)
	}
	for _, t := range append(append([]Text{}, b.Fields...), b.Elements...) {
		n += utf8.RuneCountInString(t.Text)
	}
	return n
}

func (t Text) valid() bool { return t.Type == typePlainText || t.Type == typeMarkup }

func within(s string, most int) bool { return s != "" && utf8.RuneCountInString(s) <= most }

func allWithin(texts []Text, most int) bool {
	for _, t := range texts {
		if !t.valid() || !within(t.Text, most) {
			return false
		}
	}
	return true
}

// plain answers in plain text, as webhooks do.
func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // an error means that the client has gone
}
