package subject

import (
	"archive/zip"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

//go:embed sql/export
var exportFiles embed.FS

//go:embed export.html
var exportHTML string

// shownMax bounds the rows of one part on the page, which a browser has to hold. The
// JSON lines have all.
const shownMax = 2000

// Exported is what an export holds.
type Exported struct {
	Parts []Part `json:"parts"`
}

// Part is one kind of data.
type Part struct {
	Name string `json:"name"` // of its file
	Rows int    `json:"rows"`

	Title string  `json:"-"`
	Text  string  `json:"-"`
	Cut   bool    `json:"-"`
	Shown []shown `json:"-"`
}

// shown is a row as the page has it.
type shown struct {
	Summary string
	Fields  []field
}

type field struct{ Name, Value string }

// exporter collects what is known of one person into a zip.
type exporter struct {
	deps   Deps
	client *clickhouse.Client
	person person
	zip    *zip.Writer
}

// Export writes to w a zip of what is known of the person with that mailbox: a page
// that a person can read, and JSON lines. It holds nothing of anybody else.
func Export(ctx context.Context, d Deps, mailbox string, w io.Writer) (Exported, error) {
	people, err := d.people([]string{mailbox})
	if err != nil {
		return Exported{}, err
	}
	client, err := clickhouse.Open(d.ClickHouse, d.Log, telemetry.NewRegistry())
	if err != nil {
		return Exported{}, err
	}
	defer client.Close() // nothing was written
	e := exporter{deps: d, client: client, person: people[0], zip: zip.NewWriter(w)}
	var out Exported
	for _, p := range []Part{
		{Name: "events", Title: "Events", Text: "What providers reported of mail to this address."},
		{Name: "messages", Title: "Messages", Text: "What became of each message."},
		{Name: "engagement", Title: "Engagement", Text: "How often you open and click, as a score for each account, and the acts that count most."},
		{Name: "suppressions", Title: "Suppression list", Text: "Why this address is, or was, not mailed."},
		{Name: "suppression_history", Title: "History of the suppression list", Text: "How this address came to the list and left it, the latest 20 times of each kind, and soft bounces that count for it."},
		{Name: "alerts", Title: "Alerts", Text: "Alerts that quote a reply with this address."},
		{Name: "dead_letters", Title: "Dead letters", Text: "What a provider sent of this address and nobody could read."},
		{Name: "audit", Title: "Audit", Text: "When somebody looked at what is known of this address, or changed it. This export is the last of them where it is stored already."},
	} {
		if err := e.add(ctx, &p); err != nil {
			return Exported{}, fmt.Errorf("export %s: %w", p.Name, err)
		}
		out.Parts = append(out.Parts, p)
	}
	if err := e.page(e.person.finder.mailbox, out.Parts); err != nil {
		return Exported{}, err
	}
	if err := e.zip.Close(); err != nil {
		return Exported{}, fmt.Errorf("end zip: %w", err)
	}
	return out, nil
}

// add writes the file of p, and fills p with what the page shows of it.
func (e exporter) add(ctx context.Context, p *Part) error {
	file, err := e.zip.Create(p.Name + ".jsonl")
	if err != nil {
		return fmt.Errorf("begin file: %w", err)
	}
	row := func(line []byte) error {
		p.Rows++
		if p.Cut = len(p.Shown) == shownMax; !p.Cut {
			p.Shown = append(p.Shown, show(line))
		}
		_, err := file.Write(append(bytes.TrimRight(line, "\n"), '\n'))
		return err
	}
	switch p.Name {
	case "dead_letters":
		return e.letters(ctx, row)
	case "suppression_history":
		return e.history(ctx, row)
	}
	query, err := exportFiles.ReadFile("sql/export/" + p.Name + ".sql")
	if err != nil {
		return fmt.Errorf("open query: %w", err)
	}
	return e.client.Each(ctx, string(query), func(scan func(any) error) error {
		var r struct {
			Line string `ch:"line"`
		}
		if err := scan(&r); err != nil {
			return err
		}
		if p.Name == "alerts" && !e.person.finder.In([]byte(r.Line)) {
			return nil
		}
		if p.Name == "audit" || p.Name == "suppressions" { // what people wrote
			return row([]byte(e.person.alone([]byte(r.Line))))
		}
		if p.Name == "events" || p.Name == "messages" { // what providers and senders wrote
			line, err := e.person.own([]byte(r.Line))
			if err != nil {
				return err
			}
			return row(line)
		}
		return row([]byte(r.Line))
	}, clickhouse.Arg("hashes", clickhouse.Words(e.person.hashes)))
}

// letters exports dead letters, of each only the items that are the person's.
func (e exporter) letters(ctx context.Context, row func([]byte) error) error {
	var fault error
	_, err := eachLetter(ctx, e.client, []person{e.person}, func(_ int, d deadLetter) {
		line, err := json.Marshal(struct {
			deadLetter
			Items []string `json:"items"`
			Note  string   `json:"note,omitempty"`
		}{d, e.person.items([]byte(d.Bytes)), ""})
		if err == nil {
			err = row(line)
		}
		fault = errors.Join(fault, err)
	})
	return errors.Join(err, fault)
}

// withheld stands for bytes that hold the address and cannot be taken apart.
const withheld = "(bytes that hold this address and cannot be separated from what else they hold)"

// items returns the parts of body that are the person's alone. A body of one JSON
// object is one item, an array has one each. What is neither is not handed out: it
// may be about somebody else, too.
func (p person) items(body []byte) []string {
	var array []json.RawMessage
	if json.Unmarshal(body, &array) != nil {
		var object map[string]json.RawMessage
		if json.Unmarshal(body, &object) != nil {
			return []string{withheld}
		}
		array = []json.RawMessage{body}
		for _, member := range object { // such as {"events":[...]}: an envelope of items
			var inner []json.RawMessage
			if json.Unmarshal(member, &inner) == nil && slices.ContainsFunc(inner, func(m json.RawMessage) bool { return bytes.HasPrefix(m, []byte("{")) }) {
				array = inner
			}
		}
	}
	var mine []string
	for _, item := range array {
		if p.finder.In(item) {
			mine = append(mine, p.alone(item))
		}
	}
	if mine == nil {
		return []string{withheld}
	}
	return mine
}

// another stands for an address that is not the person's.
const another = "(another address)"

// alone returns item without the addresses of others.
func (p person) alone(item []byte) string {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(item))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return withheld
	}
	text, err := json.Marshal(p.only(value))
	if err != nil {
		return withheld
	}
	return string(text)
}

// only returns value with the addresses of others taken out of every text.
func (p person) only(value any) any {
	switch v := value.(type) {
	case string:
		return p.onlyText(v)
	case []any:
		for i := range v {
			v[i] = p.only(v[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for name, member := range v {
			clean[p.only(name).(string)] = p.only(member)
		}
		return clean
	}
	return value
}

// quoting are the columns of an event and a message that may name others, too. An id may
// look like an address.
var quoting = []string{"subject", "tags", "metadata", "smtp_reply", "url", "user_agent", "raw"}

// own returns a row without the addresses of others.
func (p person) own(line []byte) ([]byte, error) {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(line, &row); err != nil {
		return nil, fmt.Errorf("read row: %w", err)
	}
	for _, name := range quoting {
		var text string
		switch {
		case row[name] == nil || !p.othersIn(string(row[name])):
			continue
		case json.Unmarshal(row[name], &text) != nil: // a list or a map
			row[name] = json.RawMessage(p.alone(row[name]))
			continue
		}
		clean, err := json.Marshal(p.ownText(text))
		if err != nil {
			return nil, fmt.Errorf("encode %q: %w", name, err)
		}
		row[name] = clean
	}
	return json.Marshal(row)
}

// onlyText returns text with the addresses of others taken out, and nothing of it where they
// are in a form that has to be unpacked.
func (p person) onlyText(text string) string {
	for range depthMax {
		text = string(unescape([]byte(text), `\%&`))
	}
	clean := addressForm.ReplaceAllStringFunc(text, func(found string) string {
		if p.finder.In([]byte(found)) {
			return found
		}
		return another
	})
	if p.othersIn(clean) {
		return withheld
	}
	return clean
}

// ownText returns text as it is where nobody else is in it, and else what is the person's.
func (p person) ownText(text string) string {
	if !p.othersIn(text) {
		return text
	}
	if json.Valid([]byte(text)) {
		return p.alone([]byte(text))
	}
	return p.onlyText(text)
}

// othersIn reports whether text holds an address of somebody else, in any form.
func (p person) othersIn(text string) bool {
	for form := range forms([]byte(text)) {
		for _, found := range addressForm.FindAll(form, -1) {
			canonical, err := address.One(string(found))
			if err == nil && hostName.MatchString(address.Domain(canonical)) && !p.finder.In(found) {
				return true
			}
		}
	}
	return false
}

// hostName tells domains from what random bytes look like.
var hostName = regexp.MustCompile(`\.(\pL{2,}|xn--[a-z0-9-]+)$`)

// addressForm is anything with an @ between what may be of an address.
var addressForm = regexp.MustCompile(`("[^"]*"|[^\s"'<>,;:()\[\]{}|\\&?/]+)@[^\s"'<>,;:()\[\]{}|\\=&?/]+`)

// page writes index.html.
func (e exporter) page(mailbox string, parts []Part) error {
	page, err := template.New("page").Parse(exportHTML)
	if err != nil {
		return fmt.Errorf("parse page: %w", err)
	}
	file, err := e.zip.Create("index.html")
	if err != nil {
		return fmt.Errorf("begin page: %w", err)
	}
	return page.Execute(file, map[string]any{"Address": mailbox, "At": time.Now().UTC().Format(time.RFC3339), "Parts": parts})
}

// show makes a row of a JSON line, without what is empty.
func show(line []byte) shown {
	var values map[string]any
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if decoder.Decode(&values) != nil {
		return shown{Summary: "a row", Fields: []field{{"text", string(line)}}}
	}
	var s shown
	var summary []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text := fmt.Sprint(values[name])
		if s, ok := values[name].(string); !ok {
			if encoded, err := json.Marshal(values[name]); err == nil {
				text = string(encoded)
			}
		} else {
			text = s
		}
		if text == "" || text == "null" || text == "[]" || text == "{}" {
			continue
		}
		s.Fields = append(s.Fields, field{name, text})
	}
	for _, name := range []string{"time", "first_event", "since", "at", "what", "action", "type", "scope", "reason", "rule", "provider", "campaign"} {
		if text, ok := values[name].(string); ok && text != "" {
			summary = append(summary, text)
		}
	}
	s.Summary = strings.Join(summary, " · ")
	return s
}
