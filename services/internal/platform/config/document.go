package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	// fileBytesMax bounds a configuration file; a thousand sources are about 1 MiB.
	fileBytesMax = 8 << 20
	// depthMax bounds values inside values; a source's longest path has six.
	depthMax = 64
	// nodesMax bounds the values of a file with its aliases written out, so that a
	// few lines cannot expand to billions.
	nodesMax = 1_000_000
)

// byteOrderMark is allowed at the start of a UTF-8 text (YAML 1.2.2, section
// 5.2).
var byteOrderMark = []byte("\ufeff")

// parse returns the root of the one document in text, nil when there is none.
// Name is shown instead of the text in messages.
func parse(name string, text []byte) (*yaml.Node, error) {
	fault := func(line, column int, format string, args ...any) error {
		return fmt.Errorf("parse %s: %s", place(name, line, column), fmt.Sprintf(format, args...))
	}
	if len(text) > fileBytesMax {
		return nil, fault(0, 0, "has %d bytes, want at most %d", len(text), fileBytesMax)
	}
	text = bytes.TrimPrefix(text, byteOrderMark)
	if line, column, ok := firstInvalid(text); !ok {
		return nil, fault(line, column, "is not UTF-8")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(readableVersion(text)), yaml.WithV4Defaults(), yaml.WithPlugin(limits{}))
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	first, err := document(loader)
	if err == nil && first != nil {
		var second *yaml.Node
		if second, err = document(loader); second != nil {
			return nil, fault(second.Line, second.Column, "a second document begins here: a configuration is one")
		}
	}
	if wrong, ok := errors.AsType[*yaml.LoadError](err); ok {
		return nil, fault(wrong.Mark.Line, wrong.Mark.Column, "%s", plainMessage(wrong, text))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	return first, nil
}

// plainMessage says what the parser found without showing the file's text, which
// may be a secret, and what people mostly meant.
func plainMessage(wrong *yaml.LoadError, text []byte) string {
	var next byte
	if lines := bytes.Split(text, []byte("\n")); wrong.Mark.Line >= 1 && wrong.Mark.Line <= len(lines) {
		if line, at := lines[wrong.Mark.Line-1], wrong.Mark.Column-1; at >= 0 && at < len(line) {
			next = line[at]
		}
	}
	switch {
	case strings.HasPrefix(wrong.Message, "unknown anchor"):
		return "an alias has no anchor before it: text that begins with * needs quotes"
	case next == '\t':
		return "a tab cannot indent: use spaces"
	case next == '@' || next == '`' || next == '%':
		return "text that begins with " + string(next) + " needs quotes"
	default:
		return wrong.Message
	}
}

// document returns the content of the next document, nil for an empty one.
func document(loader *yaml.Loader) (*yaml.Node, error) {
	var n yaml.Node
	if err := loader.Load(&n); err != nil {
		return nil, err
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) == 0 || isNull(n.Content[0]) {
		return nil, nil
	}
	return n.Content[0], nil
}

// readableVersion makes a %YAML 1.2 directive one that the parser takes: it knows
// 1.1 only, and what differs between them is read by this package.
func readableVersion(text []byte) []byte {
	const wanted, known = "%YAML 1.2", "%YAML 1.1"
	if rest, ok := bytes.CutPrefix(text, []byte(wanted)); ok {
		return append([]byte(known), rest...)
	}
	return text
}

// firstInvalid returns the place of the first bytes that are not UTF-8.
func firstInvalid(text []byte) (line, column int, ok bool) {
	if utf8.Valid(text) {
		return 0, 0, true
	}
	line, column = 1, 1
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size <= 1 {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		text = text[size:]
	}
	return line, column, false
}

// limits are what the parser keeps to.
type limits struct{}

var errTooDeep = fmt.Errorf("values are nested deeper than %d", depthMax)

// CheckDepth refuses what is nested too deep.
func (limits) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > depthMax {
		return errTooDeep
	}
	return nil
}

// CheckAlias leaves aliases to the decoder, which counts the values they expand
// to.
func (limits) CheckAlias(_, _ int) error { return nil }

// place returns NAME:LINE:COLUMN, or the name where there is no line.
func place(name string, line, column int) string {
	if line == 0 {
		return name
	}
	return fmt.Sprintf("%s:%d:%d", name, line, max(column, 1))
}

// isNull says whether n is a value that is not there: nothing, ~ or null.
func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || !isPlain(n) {
		return false
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// isPlain says whether a scalar is written without quotes.
func isPlain(n *yaml.Node) bool {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return n.Style&(quoted|yaml.TaggedStyle) == 0
}
