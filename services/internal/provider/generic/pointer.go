package generic

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/services/internal/jsontext"
)

// node is a place in an item: all configured pointers (RFC 6901) make one tree,
// so that an item is walked once.
type node struct {
	key      string
	index    int // the key as an array index, -1 when it is not one
	slots    []slot
	children []node
}

// pointerTokensMax bounds the depth of a pointer; providers nest up to six deep.
const pointerTokensMax = 16

// tokens reads a JSON pointer.
func tokens(pointer string) ([]string, error) {
	if !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf("%q is neither a JSON pointer, which starts with '/', nor header:NAME", pointer)
	}
	list := strings.Split(pointer[1:], "/")
	if len(list) > pointerTokensMax {
		return nil, fmt.Errorf("%q is deeper than %d", pointer, pointerTokensMax)
	}
	for i, t := range list {
		if strings.Count(t, "~") != strings.Count(t, "~0")+strings.Count(t, "~1") {
			return nil, fmt.Errorf("%q has a '~' that is neither ~0 nor ~1", pointer)
		}
		list[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return list, nil
}

// want adds a pointer to the tree.
func (n *node) want(path []string, s slot) {
	if len(path) == 0 {
		n.slots = append(n.slots, s)
		return
	}
	for i := range n.children {
		if n.children[i].key == path[0] {
			n.children[i].want(path[1:], s)
			return
		}
	}
	n.children = append(n.children, node{key: path[0], index: arrayIndex(path[0])})
	n.children[len(n.children)-1].want(path[1:], s)
}

// arrayIndex reads "0", "1", "12" and refuses "01", as the RFC does.
func arrayIndex(token string) int {
	i, err := strconv.Atoi(token)
	if err != nil || i < 0 || strconv.Itoa(i) != token {
		return -1
	}
	return i
}

// places is what was found of an item of doc.
type places struct {
	doc   *jsontext.Document
	found *[slotCount]jsontext.Value
}

// value notes v and the values in it.
func (n *node) value(v jsontext.Value, to *places) {
	for _, s := range n.slots {
		to.found[s] = v
	}
	if len(n.children) == 0 {
		return
	}
	switch v.Kind() {
	case jsontext.Object:
		n.members(to.doc.MembersOf(v), to)
	case jsontext.Array:
		i := 0
		for e := v.Elements(); e.Next(); i++ {
			for c := range n.children {
				if n.children[c].index == i {
					n.children[c].value(e.Value(), to)
				}
			}
		}
	}
}

// members notes the values in an object. The last of two equal keys counts,
// with all that is in it.
func (n *node) members(m jsontext.Members, to *places) {
	for m.Next() {
		key := m.Key()
		for c := range n.children {
			if child := &n.children[c]; child.key == key {
				child.forget(to.found)
				child.value(m.Value(), to)
				break
			}
		}
	}
}

func (n *node) forget(found *[slotCount]jsontext.Value) {
	for _, s := range n.slots {
		found[s] = nil
	}
	for c := range n.children {
		n.children[c].forget(found)
	}
}
