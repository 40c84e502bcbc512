package config

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// WordReader is a value with fields that may also be written as one word, as
// `auth: none`.
type WordReader interface {
	// ReadWord takes the word, or says which words are valid.
	ReadWord(word string) error
}

// decoder reads YAML into values of a configuration.
type decoder struct {
	*findings
	name  string       // of the text
	root  reflect.Type // of the whole configuration, to say where a key belongs
	nodes int
	depth int
}

func newDecoder(name string, root reflect.Type) *decoder {
	return &decoder{findings: &findings{}, name: name, root: root}
}

// file reads the sections of text into root. A section that is there starts from
// its value in fresh. Top-level keys that begin with x- are left alone: they hold
// anchors.
func (d *decoder) file(root, fresh reflect.Value, text []byte) error {
	n, err := parse(d.name, text)
	if err != nil || n == nil {
		return err
	}
	if n.Kind != yaml.MappingNode {
		d.unreadable("", d.at(n), "is %s: want sections, each a name and a colon", kindOf(n))
		return nil
	}
	for _, e := range d.entries(n, "") {
		if !strings.HasPrefix(e.name, "x-") {
			d.entry(e, root, "", fresh)
		}
	}
	return nil
}

func (d *decoder) at(n *yaml.Node) string { return place(d.name, n.Line, n.Column) }

// value reads n into v, whose field is path. A null leaves v as it is.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.nodes++; d.nodes > nodesMax || d.depth > depthMax {
		if d.nodes = nodesMax; !d.reported[""] {
			d.unreadable("", d.at(n), "aliases expand to more than %d values, or refer to themselves", nodesMax)
		}
		return
	}
	if d.depth++; isNull(n) {
		d.depth--
		return
	}
	defer func() { d.depth-- }()
	if n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str" && n.Tag != "!!map" && n.Tag != "!!seq" {
		d.unreadable(path, d.at(n), "a tag has no meaning here: text that begins with ! needs quotes")
		return
	}
	if n.Kind == yaml.ScalarNode {
		d.scalar(n, v, path)
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case n.Kind == yaml.SequenceNode && v.Kind() == reflect.Slice:
		d.list(n, v, path)
	case n.Kind == yaml.MappingNode && v.Kind() == reflect.Map:
		d.mapping(n, v, path)
	case n.Kind == yaml.MappingNode && v.Kind() == reflect.Struct && !isScalar(v.Type()):
		for _, e := range d.entries(n, path) {
			d.entry(e, v, path, reflect.Value{})
		}
	default:
		d.unreadable(path, d.at(n), "is %s: want %s", kindOf(n), wanted(v.Type()))
	}
}

// scalar reads a single value. One value does for a list of them.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	for v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	d.from(path, d.at(n))
	if word, ok := v.Addr().Interface().(WordReader); ok {
		if err := word.ReadWord(n.Value); err != nil {
			d.unreadable(path, d.at(n), "%v", err)
		}
		return
	}
	if v.Kind() == reflect.Slice && isScalar(v.Type().Elem()) {
		one := reflect.New(v.Type().Elem()).Elem()
		d.scalar(n, one, path)
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), one))
		return
	}
	if !isScalar(v.Type()) {
		d.unreadable(path, d.at(n), "is %s: want %s", kindOf(n), wanted(v.Type()))
		return
	}
	if err := setText(v, n.Value); err != nil {
		d.unreadable(path, d.at(n), "%v", err)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	out := reflect.MakeSlice(v.Type(), 0, len(n.Content))
	for i, item := range n.Content {
		at := path + "[" + strconv.Itoa(i) + "]"
		d.from(at, d.at(item))
		element := reflect.New(v.Type().Elem()).Elem()
		if isNull(item) {
			d.unreadable(at, d.at(item), "is empty: want %s", wanted(v.Type().Elem()))
		}
		d.value(item, element, at)
		out = reflect.Append(out, element)
	}
	v.Set(out)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	out := reflect.MakeMap(v.Type())
	for _, e := range d.entries(n, path) {
		at := join(path, e.name)
		d.from(at, d.at(e.key))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if err := setText(key, e.name); err != nil {
			d.unreadable(at, d.at(e.key), "%v", err)
			continue
		}
		d.value(e.value, value, at)
		out.SetMapIndex(key, value)
	}
	v.Set(out)
}

// entry reads one key of a mapping into the field of v, a struct, that has its
// name.
func (d *decoder) entry(e entry, v reflect.Value, path string, fresh reflect.Value) {
	at := join(path, e.name)
	field, ok := fieldOf(v, e.name)
	if !ok {
		known := fieldNames(v.Type())
		near := nearest(e.name, known)
		d.unreadable(at, d.at(e.key), "unknown field%s", d.hint(e.name, path, near))
		if near != "" { // what is said about a field that was only misspelt follows from that
			d.unread = append(d.unread, join(path, near))
		}
		return
	}
	if fresh.IsValid() {
		replacement, _ := fieldOf(fresh, e.name)
		field.Set(replacement)
	}
	d.from(at, d.at(e.key))
	d.value(e.value, field, at)
}

// hint says which field was meant by an unknown key: one that is spelt alike, or
// one of the same name, rather deeper in the same mapping than elsewhere.
func (d *decoder) hint(name, path, near string) string {
	if near != "" {
		return "; the nearest is " + join(path, near)
	}
	var below, outside []string
	for _, f := range Fields(d.root) {
		rest, inside := strings.CutPrefix(f.Path, index.ReplaceAllLiteralString(path, "[]")+".")
		switch {
		case !strings.HasSuffix("."+f.Path, "."+name):
		case inside:
			below = append(below, join(path, rest))
		case !strings.Contains(f.Path, "["):
			outside = append(outside, f.Path)
		}
	}
	for _, places := range [][]string{below, outside} {
		if len(places) > 0 && len(places) <= hintsMax {
			return "; there is " + strings.Join(places, " and ")
		}
	}
	return ""
}

// index is the position of an item in a path.
var index = regexp.MustCompile(`\[[0-9]+\]`)

// hintsMax bounds the places that a fault names: more of them do not help the
// reader.
const hintsMax = 3

// entry is one key of a mapping with its value.
type entry struct {
	name       string
	key, value *yaml.Node
}

// mergeKey inserts the entries of another mapping.
const mergeKey = "<<"

// entries returns the entries of a mapping, those that are merged into it last.
// A key that is there twice is a fault.
func (d *decoder) entries(n *yaml.Node, path string) []entry {
	var own []entry
	seen := map[string]*yaml.Node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			d.unreadable(join(path, "?"), d.at(key), "a key is %s: want a name", kindOf(key))
		case key.Value == mergeKey && isPlain(key):
			merged = append(merged, value)
		case seen[key.Value] != nil:
			d.unreadable(join(path, key.Value), d.at(key), "is set twice, first in line %d", seen[key.Value].Line)
		default:
			seen[key.Value] = key
			own = append(own, entry{key.Value, key, value})
		}
	}
	for _, from := range merged {
		for _, e := range d.merge(from, path) {
			if seen[e.name] == nil {
				seen[e.name] = e.key
				own = append(own, e)
			}
		}
	}
	return own
}

// merge returns the entries that a merge key inserts: those of a mapping, or of
// several, the first of which count.
func (d *decoder) merge(n *yaml.Node, path string) []entry {
	at := n
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.depth++; d.depth > depthMax {
		d.depth--
		d.unreadable(join(path, mergeKey), d.at(at), "refers to itself")
		return nil
	}
	defer func() { d.depth-- }()
	switch n.Kind {
	case yaml.MappingNode:
		if d.nodes += len(n.Content); d.nodes > nodesMax {
			return nil // reported with the next value
		}
		return d.entries(n, path)
	case yaml.SequenceNode:
		var all []entry
		for _, item := range n.Content {
			all = append(all, d.merge(item, path)...)
		}
		return all
	default:
		d.unreadable(join(path, mergeKey), d.at(at), "is %s: want a mapping", kindOf(n))
		return nil
	}
}

// kindOf says what a node is, in words of the file.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	default:
		return "a single value"
	}
}

// wanted says what a value of type t is written as.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Secret]():
		return "a secret, env:NAME, file:PATH or the text itself"
	case t == reflect.TypeFor[ByteSize]():
		return "a size, as 512KiB or 4MiB"
	case t == reflect.TypeFor[time.Duration]():
		return "a duration, as 500ms, 15s or 5m"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map:
		return "a mapping"
	case t.Kind() == reflect.Pointer:
		return wanted(t.Elem())
	case t.Kind() == reflect.Struct:
		return "a mapping with some of " + strings.Join(fieldNames(t), ", ")
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	default:
		return "a number"
	}
}
