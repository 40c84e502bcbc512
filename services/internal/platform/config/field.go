package config

import "reflect"

// Field is one setting of a configuration.
type Field struct {
	// Path is its name in the file, sections and all; a list's elements stand under
	// "[]", a mapping's under "*".
	Path string
	// Owner is the struct that has it and Name the name of the field there.
	Owner reflect.Type
	Name  string
	// Type is what is read into it.
	Type reflect.Type
}

// Leaf says whether the field is one value, or a list or mapping of them, and
// not a group of fields.
func (f Field) Leaf() bool {
	t := f.Type
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return isScalar(t)
}

// Fields lists every setting below t, a struct, in the order of the file.
func Fields(t reflect.Type) []Field { return fields(t, "") }

func fields(t reflect.Type, path string) []Field {
	switch {
	case t.Kind() == reflect.Pointer:
		return fields(t.Elem(), path)
	case t.Kind() == reflect.Slice:
		return fields(t.Elem(), path+"[]")
	case t.Kind() == reflect.Map:
		return fields(t.Elem(), path+".*")
	case t.Kind() != reflect.Struct || isScalar(t):
		return nil
	}
	var all []Field
	for i := range t.NumField() {
		f := t.Field(i)
		switch name := fieldName(f); {
		case inlined(f):
			all = append(all, fields(f.Type, path)...)
		case name != "":
			own := Field{Path: join(path, name), Owner: t, Name: f.Name, Type: f.Type}
			all = append(append(all, own), fields(f.Type, own.Path)...)
		}
	}
	return all
}

// fieldNames are the keys that a mapping for t may have.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		switch name := fieldName(f); {
		case inlined(f):
			names = append(names, fieldNames(f.Type)...)
		case name != "":
			names = append(names, name)
		}
	}
	return names
}

// fieldOf returns the field of v, a struct, that is called name in the file.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if inlined(f) {
			if field, ok := fieldOf(v.Field(i), name); ok {
				return field, true
			}
			continue
		}
		if known := fieldName(f); known != "" && known == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}
