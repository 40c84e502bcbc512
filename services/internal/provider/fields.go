package provider

import "github.com/mailstream/mailstream/services/internal/jsontext"

// FieldID is a documented field with a meaning for the event. Each provider's package
// counts its own from 0. It has a switch from key to field and no table: every
// member of every item is looked up, and a switch takes a quarter of the time of a
// map and half of that of a hash table made for it.
type FieldID uint8

// What a key can be beside a field.
const (
	InRaw   FieldID = 254 // documented, and only kept in raw
	NoField FieldID = 255 // not documented
)

// Names are the fields as the provider writes them, by FieldID.
type Names []string

// Find returns the field called key. For a provider with few requests and no other
// spellings of its fields it is the switch.
func (n Names) Find(key string) FieldID {
	for f, name := range n {
		if name == key {
			return FieldID(f)
		}
	}
	return NoField
}

// Fields is an object taken apart: the values of a provider's fields. The last of
// two equal keys counts.
type Fields struct {
	Out    *Batch
	values []jsontext.Value
}

// Fields returns the fields of the next object, from 0 up to count, all absent. They use
// memory of the batch, so those of the object before are gone.
func (b *Batch) Fields(count FieldID) Fields {
	clear(b.values) // what is beyond its length is clear already
	if cap(b.values) < int(count) {
		b.values = make([]jsontext.Value, count)
	}
	b.values = b.values[:count]
	return Fields{Out: b, values: b.values}
}

// Read takes the members of an object and notes those that are not documented.
func (f *Fields) Read(m jsontext.Members, of func(key string) FieldID) {
	f.ReadOr(m, of, func(_ string, v jsontext.Value) { f.Out.DriftAt(UnknownField, v) })
}

// ReadOr takes the members of an object and gives those that are not documented
// to other.
func (f *Fields) ReadOr(m jsontext.Members, of func(key string) FieldID, other func(key string, v jsontext.Value)) {
	for m.Next() {
		key := m.Key()
		switch field := of(key); field {
		case NoField:
			other(key, m.Value())
		case InRaw:
		default:
			f.values[field] = m.Value()
		}
	}
}

// Set gives a field a value.
func (f *Fields) Set(field FieldID, v jsontext.Value) { f.values[field] = v }

// Value returns a field as received.
func (f *Fields) Value(field FieldID) jsontext.Value { return f.values[field] }

// Has says whether a field is there and not null.
func (f *Fields) Has(field FieldID) bool {
	k := f.values[field].Kind()
	return k != jsontext.Invalid && k != jsontext.Null
}

// Text returns a field as text; see Batch.Text.
func (f *Fields) Text(field FieldID) string {
	v := f.values[field]
	if len(v) == 0 {
		return "" // most fields of most events
	}
	if text, ok := v.Text(); ok {
		return text
	}
	return f.Out.Text(v)
}

// Object returns a walk over a field that is an object; see Batch.Object.
func (f *Fields) Object(field FieldID) jsontext.Members {
	return f.Out.Object(f.values[field])
}

// Tags adds a field to the tags of it; see Batch.Tags.
func (f *Fields) Tags(it *Item, field FieldID) { f.Out.Tags(it, f.values[field]) }

// Metadata adds the members of a field to the metadata of it.
func (f *Fields) Metadata(it *Item, field FieldID) { f.Out.Metadata(it, f.values[field]) }
