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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"

	"golang.org/x/text/encoding/unicode"
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
	// Fault is why the line is not a row; "" for a row.
	Fault string `json:"-"`
}

const (
	// lineBytesMax bounds a line of JSON, and a field of CSV: a note has 1,000 bytes.
	lineBytesMax = 16 << 10
	// recordBytesMax bounds a line of CSV with all that is in its quotes.
	recordBytesMax = 64 << 10
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
	media, _, _ := mime.ParseMediaType(contentType) // one that is malformed says nothing
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

// errNotText says that a file is of another encoding, or no text at all.
var errNotText = errors.New("the file has zero bytes, so it is not text in UTF-8: save it as CSV UTF-8")

// Read calls yield with each row of r, in order. An error is one of yield or of r, or
// says that the file as a whole is of no known form. Text is UTF-8, or UTF-16 with a byte
// order mark, and lines of CSV end with CR LF, LF, or CR throughout, as spreadsheets save
// them.
func Read(r io.Reader, contentType string, yield func(Row) error) error {
	in := bufio.NewReaderSize(r, 2*lineBytesMax)
	head, err := in.Peek(2)
	if err == nil && (string(head) == "\xff\xfe" || string(head) == "\xfe\xff") {
		in = bufio.NewReaderSize(unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Reader(in), 2*lineBytesMax)
	}
	head, err = in.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return errNotText
	}
	form := FormOf(contentType, head)
	if bytes.HasPrefix(head, bom) {
		if _, err := in.Discard(len(bom)); err != nil {
			return err
		}
		head = head[len(bom):]
	}
	if form == JSONLines {
		return readJSON(in, yield)
	}
	// Excel's "CSV (Macintosh)" ends lines with carriage returns alone.
	line, _ := in.Peek(lineBytesMax) // its error comes with the next read
	if bytes.IndexByte(line, '\n') < 0 && bytes.IndexByte(line, '\r') >= 0 {
		in = bufio.NewReaderSize(carriageReturns{in}, 2*lineBytesMax)
	}
	return readCSV(in, head, yield)
}

// carriageReturns reads them as line feeds.
type carriageReturns struct{ from io.Reader }

func (c carriageReturns) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	for i, b := range p[:n] {
		if b == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

func readJSON(in *bufio.Reader, yield func(Row) error) error {
	for line := 1; ; line++ {
		text, long, err := readLine(in, lineBytesMax)
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

// readLine reads to the next line feed. A line of more than most bytes is long, and passed
// over. The caller owns line.
func readLine(in *bufio.Reader, most int) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > most {
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
