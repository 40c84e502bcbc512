package provider

import "github.com/mailstream/mailstream/services/internal/jsontext"

// The shapes that most requests have. Each parses a text into the batch's
// document, so one at a time.

// ObjectIn reads a request that is one object: raw is the object, m a walk over its
// members. The error is one that Decode may return.
func (b *Batch) ObjectIn(text []byte, lim jsontext.Limits) (raw jsontext.Value, m jsontext.Members, err error) {
	if err := b.json.Parse(text, lim); err != nil {
		return nil, m, err
	}
	if b.json.IsArray() || b.json.Items()[0].Kind() != jsontext.Object {
		return nil, m, &FormError{What: "not an object"}
	}
	return b.json.Items()[0], b.json.Members(0), nil
}

// ObjectsIn reads a request that is an array of objects or one object, and lets
// decode fill in an item for each. What is not an object is an item with a fault.
func (b *Batch) ObjectsIn(text []byte, lim jsontext.Limits, decode func(jsontext.Members, *Item, *Batch)) error {
	if err := b.json.Parse(text, lim); err != nil {
		return err
	}
	if !b.json.IsArray() && b.json.Items()[0].Kind() != jsontext.Object {
		return &FormError{What: "neither an object nor an array"}
	}
	for i, raw := range b.json.Items() {
		it := b.Add(raw)
		if raw.Kind() != jsontext.Object {
			it.Reject(NotAnObject)
			continue
		}
		decode(b.json.Members(i), it, b)
	}
	return nil
}

// FieldsIn reads a form as an object of its fields, as ObjectIn does.
func (b *Batch) FieldsIn(text []byte, lim jsontext.Limits) (raw jsontext.Value, m jsontext.Members, err error) {
	fields, err := ReadForm(text)
	if err != nil {
		return nil, m, err
	}
	return b.ObjectIn(FormObject(fields), lim)
}
