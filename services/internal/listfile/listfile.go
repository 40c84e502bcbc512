// Package listfile reads files of addresses that must not be mailed: CSV and JSON Lines
// of our own form, and the exports of providers as they come.
//
// A line that cannot be read is a row with a fault and its number; the lines behind it
// are read. Nothing is decided here: whether an address or a reason is one, the list
// says.
package listfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
)

// Row is one line.
type Row struct {
	Line    int    `json:"-"` // from 1, of the file
	Address string `json:"address"`
	Reason  string `json:"reason,omitempty"`
	Scope   string `json:"scope,omitempty"`
	Stream  string `json:"stream,omitempty"`
	List    string `json:"list,omitempty"`
	Expires string `json:"expires,omitempty"`
	Note    string `json:"note,omitempty"`
	// Fault is why the line is none; "" for a row.
	Fault string `json:"-"`
}

const (
	// lineBytesMax bounds a line of JSON, and a field of CSV: a note has 1,000 bytes.
	lineBytesMax = 16 << 10
	// columnsMax bounds the columns: an export of Mailchimp has one a merge field.
	columnsMax = 500
)

// Form is what a file is.
type Form int

// The forms.
const (
	CSV Form = iota
	JSONLines
)

// FormOf says what a file is by its media type and, where that says nothing, by its
// first bytes.
func FormOf(contentType string, head []byte) Form {
	media, _, _ := mime.ParseMediaType(contentType) // what is none says nothing
	switch media {
	case "text/csv":
		return CSV
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines":
		return JSONLines
	}
	if bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, bom), " \t\r\n"), []byte{'{'}) {
		return JSONLines
	}
	return CSV
}

var bom = []byte("\xef\xbb\xbf")

// Read calls yield with each row of r, in order. An error is one of yield or of r, or
// says that the file as a whole is of no known form.
func Read(r io.Reader, contentType string, yield func(Row) error) error {
	in := bufio.NewReaderSize(r, 2*lineBytesMax)
	head, err := in.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.HasPrefix(head, bom) {
		if _, err := in.Discard(len(bom)); err != nil {
			return err
		}
	}
	if FormOf(contentType, head) == JSONLines {
		return readJSON(in, yield)
	}
	return readCSV(in, head, yield)
}

func readJSON(in *bufio.Reader, yield func(Row) error) error {
	for line := 1; ; line++ {
		text, long, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		last := err != nil
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 || long {
			row := Row{}
			if long {
				row.Fault = fmt.Sprintf("is longer than %d bytes", lineBytesMax)
			} else if fault := decode(trimmed, &row); fault != "" {
				row = Row{Fault: fault}
			}
			row.Line = line
			if err := yield(row); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

// readLine reads to the next line feed. What is beyond lineBytesMax is passed over.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > lineBytesMax {
			long, line = true, line[:0]
		} else if !long {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}

// fieldsJSON are the fields of a line of JSON.
const fieldsJSON = "address, reason, scope, stream, list, expires, note"

func decode(text []byte, row *Row) string {
	var members map[string]*string
	if err := json.Unmarshal(text, &members); err != nil {
		return "is not one JSON object of texts"
	}
	for name, value := range members {
		to := map[string]*string{
			"address": &row.Address, "reason": &row.Reason, "scope": &row.Scope, "stream": &row.Stream,
			"list": &row.List, "expires": &row.Expires, "note": &row.Note,
		}[name]
		if to == nil {
			return fmt.Sprintf("unknown field %.64q: want %s", name, fieldsJSON)
		}
		if value != nil {
			*to = *value
		}
	}
	return ""
}

func readCSV(in *bufio.Reader, head []byte, yield func(Row) error) error {
	c := csv.NewReader(in)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	first, _, _ := bytes.Cut(head, []byte{'\n'})
	if !bytes.ContainsRune(first, ',') && bytes.ContainsRune(first, ';') {
		c.Comma = ';'
	}
	var columns columns
	for began := false; ; {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if fault, ok := errors.AsType[*csv.ParseError](err); ok {
			if err := yield(Row{Line: fault.StartLine, Fault: "is no CSV: " + fault.Err.Error()}); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		line, _ := c.FieldPos(0)
		if !began {
			began = true
			if columns, err = header(record); err != nil {
				return err
			}
			if columns.named {
				continue
			}
		}
		row := columns.row(record)
		row.Line = line
		if err := yield(row); err != nil {
			return err
		}
	}
}

// columns is where a file has what; -1 is nowhere.
type columns struct {
	named                                                    bool // the first line has names
	address, reason, scope, stream, list, expires, note, why int
	origin                                                   int
	reasons                                                  map[string]string
	always                                                   schemas.SuppressionReason // of a file that is one list
}

// addresses are how files call the address.
var addresses = []string{"address", "email", "email address", "emailaddress", "e-mail", "email_address", "recipient", "contact"}

// reasons are what files call ours.
var reasons = map[string]string{
	"hardbounce": "hard_bounce", "bounce": "hard_bounce", "hard-bounce": "hard_bounce", "bounce rule": "hard_bounce", "hard bounce": "hard_bounce",
	"spamcomplaint": "complaint", "complaint": "complaint", "spam": "complaint", "spam complaint": "complaint", "contactflaggedasspam": "complaint",
	"unsub": "unsubscribe", "unsubscribed": "unsubscribe", "list unsubscribe": "unsubscribe", "unsubscribe link": "unsubscribe",
	"unsubscribedviama": "unsubscribe", "unsubscribedviaemail": "unsubscribe", "unsubscribedviaapi": "unsubscribe",
	"manualsuppression": "manual", "manually added": "manual", "custom": "manual", "adminblocked": "manual", "compliance": "manual",
	"soft-bounce": "soft_bounce",
}

// header finds the columns. Without names a file has an address first and perhaps SES's
// reason behind it.
func header(record []string) (columns, error) {
	if len(record) > columnsMax {
		return columns{}, fmt.Errorf("the file has %d columns, the limit is %d", len(record), columnsMax)
	}
	names := make([]string, len(record))
	for i, name := range record {
		names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	find := func(wanted ...string) int {
		return slices.IndexFunc(names, func(name string) bool { return slices.Contains(wanted, name) })
	}
	c := columns{
		named: true, address: find(addresses...), reason: find("suppressionreason", "source", "reason_code", "event"),
		scope: find("scope"), stream: find("stream"), list: find("list"), expires: find("expires"), note: find("note"),
		why: find("error", "description", "detail", "unsub_reason"), origin: find("origin"), reasons: reasons,
	}
	own := find("reason")
	switch {
	case c.address < 0 && strings.ContainsRune(record[0], '@'):
		return columns{address: 0, reason: 1, scope: -1, stream: -1, list: -1, expires: -1, note: -1, why: -1, origin: -1, reasons: reasons}, nil
	case c.address < 0:
		return c, fmt.Errorf("the first line names no column of addresses: want one of %s", strings.Join(addresses, ", "))
	case find("created") >= 0 && own >= 0: // SendGrid: what the server said
		c.why, c.reason, c.always = own, -1, schemas.SuppressHardBounce
	case find("clean_time") >= 0: // Mailchimp
		c.reason, c.always = -1, schemas.SuppressHardBounce
	case find("unsub_time") >= 0:
		c.reason, c.always = -1, schemas.SuppressUnsubscribe
	case find("created_at") >= 0 && find("error", "code") >= 0: // Mailgun
		c.reason, c.always = -1, schemas.SuppressHardBounce
	case find("created_at") >= 0 && find("tags") >= 0:
		c.reason, c.always = -1, schemas.SuppressUnsubscribe
	case own >= 0:
		c.reason = own
	}
	return c, nil
}

func (c columns) row(record []string) Row {
	at := func(i int) string {
		if i < 0 || i >= len(record) {
			return ""
		}
		return strings.Clone(strings.TrimSpace(record[i]))
	}
	for _, field := range record {
		if len(field) > lineBytesMax || !utf8.ValidString(field) {
			return Row{Fault: fmt.Sprintf("has a field that is no UTF-8 or longer than %d bytes", lineBytesMax)}
		}
	}
	row := Row{
		Address: at(c.address), Reason: at(c.reason), Scope: at(c.scope), Stream: at(c.stream), List: at(c.list), Expires: at(c.expires), Note: at(c.note),
	}
	if known, ok := c.reasons[strings.ToLower(row.Reason)]; ok {
		row.Reason = known
	}
	if row.Reason == "manual" && strings.EqualFold(at(c.origin), "recipient") { // Postmark
		row.Reason = string(schemas.SuppressUnsubscribe)
	}
	if row.Reason == "" {
		row.Reason = string(c.always)
	}
	if row.Note == "" {
		row.Note = at(c.why)
	}
	if row.Address == "" {
		row.Fault = "has no address"
	}
	return row
}
