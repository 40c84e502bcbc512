package jsontext

import (
	"sort"
	"unsafe"
)

// PathTo returns where v is in root: the names of the members that lead to it, with
// a point between them and [] for every array on the way, such as data.list[].name;
// "" for root itself. It is false for a value that is no part of root, as one that
// was decoded or copied, and for an empty one. A root of another text than d's is
// searched without the help of d.
//
// It takes time by the members beside those on the way, and by the bytes of the
// elements of an array before the one on the way.
func (d *Document) PathTo(root, v Value) (path string, ok bool) {
	if !root.holds(v) {
		return "", false
	}
	var long []byte // path is a part of the text as long as it has one name
	for within := root; !within.same(v); {
		var name string
		switch within.Kind() {
		case Object:
			name, within = d.member(within, v)
		case Array:
			name, within = "[]", within.element(v)
		default:
			return "", false // inside of a text
		}
		switch {
		case within == nil:
			return "", false // a key, or what is between the values
		case path == "":
			path = name
			continue
		case long == nil:
			long = append(make([]byte, 0, len(path)+len(name)+1), path...)
		}
		if name != "[]" {
			long = append(long, '.')
		}
		long = append(long, name...)
		path = view(long)
	}
	return path, true
}

// member returns the member of the object o that v is in.
func (d *Document) member(o, v Value) (name string, in Value) {
	for m := d.MembersOf(o); m.Next(); {
		if m.Value().holds(v) {
			return m.Key(), m.Value()
		}
	}
	return "", nil
}

// element returns the element of the array v that has inner in it.
func (v Value) element(inner Value) Value {
	for e := v.Elements(); e.Next(); {
		if e.Value().holds(inner) {
			return e.Value()
		}
	}
	return nil
}

// ItemWith returns the item that v is in, nil when it is in none.
func (d *Document) ItemWith(v Value) Value {
	at := d.offset(v)
	i := sort.Search(len(d.items), func(i int) bool { return d.offset(d.items[i]) > at }) - 1
	if i < 0 || !d.items[i].holds(v) {
		return nil
	}
	return d.items[i]
}

// holds says that v has the bytes of inner in it.
func (v Value) holds(inner Value) bool {
	return len(inner) > 0 && len(inner) <= len(v) && inner.at()-v.at() <= uintptr(len(v)-len(inner))
}

// same says that both are one place of one text.
func (v Value) same(other Value) bool { return v.at() == other.at() && len(v) == len(other) }

// at is where the bytes of v are.
func (v Value) at() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(v))) }
