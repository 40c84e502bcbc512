package listfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// records cuts CSV (RFC 4180) into records. A quote that is never closed costs its own
// line alone: what was taken for its inside is read again as lines.
type records struct {
	in     *bufio.Reader
	ended  bool
	number int        // of the last line that was read
	ahead  []physical // lines that are to be read again
	text   bytes.Reader
	parser *csv.Reader
}

// physical is a line between two line feeds.
type physical struct {
	number int
	text   []byte
	long   bool
}

func newRecords(in *bufio.Reader, comma rune) *records {
	r := &records{in: in}
	r.parser = csv.NewReader(&r.text)
	r.parser.Comma, r.parser.FieldsPerRecord, r.parser.ReuseRecord = comma, -1, true
	return r
}

// line returns the next line; io.EOF is after the last.
func (r *records) line() (physical, error) {
	if len(r.ahead) > 0 {
		next := r.ahead[0]
		r.ahead = r.ahead[1:]
		return next, nil
	}
	if r.ended {
		return physical{}, io.EOF
	}
	text, long, err := readLine(r.in, recordBytesMax)
	if err != nil && !errors.Is(err, io.EOF) {
		return physical{}, err
	}
	r.ended = err != nil
	if r.ended && len(text) == 0 && !long {
		return physical{}, io.EOF
	}
	r.number++
	return physical{r.number, text, long}, nil
}

// next returns a record, or what is wrong with the one that begins at line number.
// io.EOF is after the last. The fields are good until the next call.
func (r *records) next() (fields []string, number int, fault string, err error) {
	for {
		first, err := r.line()
		if err != nil {
			return nil, 0, "", err
		}
		if first.long {
			return nil, first.number, fmt.Sprintf("is longer than %d bytes", recordBytesMax), nil
		}
		if len(bytes.TrimRight(first.text, "\r\n")) == 0 {
			continue
		}
		rest, whole, err := r.quoted(first.text)
		if err != nil {
			return nil, 0, "", err
		}
		fault = fmt.Sprintf("has a quote that is not closed within %d bytes", recordBytesMax)
		if whole {
			record := first.text
			for _, l := range rest {
				record = append(record, l.text...)
			}
			r.text.Reset(record)
			if fields, err = r.parser.Read(); err == nil {
				return fields, first.number, "", nil
			}
			fault = "is not CSV"
			if said, ok := errors.AsType[*csv.ParseError](err); ok {
				fault += ": " + said.Err.Error()
			}
			_, _ = io.Copy(io.Discard, &r.text) // what is left of a bad record
		}
		r.ahead = append(rest, r.ahead...)
		return nil, first.number, fault, nil
	}
}

// quoted returns the lines behind first that a quote of it goes on to, and whether the
// quote ends there.
func (r *records) quoted(first []byte) (rest []physical, whole bool, err error) {
	open, size := oddQuotes(first), len(first)
	for open {
		l, err := r.line()
		if errors.Is(err, io.EOF) {
			return rest, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		rest = append(rest, l)
		if size += len(l.text); l.long || size > recordBytesMax {
			return rest, false, nil
		}
		open = !oddQuotes(l.text) // an even number closes and opens again
	}
	return rest, true, nil
}

func oddQuotes(text []byte) bool { return bytes.Count(text, []byte{'"'})%2 == 1 }

// commaOf is what separates the fields: a spreadsheet of a country with a decimal comma
// writes semicolons, and tabs when it saves UTF-16.
func commaOf(head []byte) rune {
	first := head
	if end := bytes.IndexAny(head, "\r\n"); end >= 0 {
		first = head[:end]
	}
	for _, comma := range []rune{',', ';', '\t'} {
		if bytes.ContainsRune(first, comma) {
			return comma
		}
	}
	return ','
}

func readCSV(in *bufio.Reader, head []byte, yield func(Row) error) error {
	r := newRecords(in, commaOf(head))
	var columns columns
	for began := false; ; {
		record, number, fault, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		row := Row{Fault: fault}
		switch {
		case !began && fault != "":
			return fmt.Errorf("the first line %s", fault)
		case !began:
			began = true
			if columns, err = header(record); err != nil {
				return err
			}
			if columns.named {
				continue
			}
			row = columns.row(record)
		case fault == "":
			row = columns.row(record)
		}
		row.Line = number
		if err := yield(row); err != nil {
			return err
		}
	}
}
