package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Field is one setting of a configuration.
type Field struct {
	// Path is its name in the file, sections and all; the elements of a list are
	// under "[]", those of a mapping under "*".
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

// Kind says in words what a leaf is written as.
func (f Field) Kind() string { return kindOfType(f.Type) }

func kindOfType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Secret]():
		return "secret"
	case t == reflect.TypeFor[ByteSize]():
		return "size"
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Pointer:
		return kindOfType(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + kindOfType(t.Elem())
	case t.Kind() == reflect.Map:
		return "mapping to " + kindOfType(t.Elem())
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	default:
		return "number"
	}
}

// Value returns what a leaf is in cfg, the struct that Fields was asked about, as
// it would be written; "" for nothing.
func (f Field) Value(cfg reflect.Value) string {
	v := cfg
	for _, step := range strings.Split(strings.ReplaceAll(f.Path, "[]", ".[]"), ".") {
		switch {
		case step == "[]" && v.Len() > 0:
			v = v.Index(0)
		case step == "[]":
			v = emptyElement(v.Type().Elem())
		default:
			v, _ = fieldOf(v, step)
		}
		for v.Kind() == reflect.Pointer && !isScalar(v.Type().Elem()) {
			if v.IsNil() {
				v = emptyElement(v.Type().Elem())
			} else {
				v = v.Elem()
			}
		}
	}
	return format(v)
}

// emptyElement returns what an element that says nothing means: an element with
// defaults has a method WithDefaults.
func emptyElement(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	if m := v.MethodByName("WithDefaults"); m.IsValid() {
		return m.Call(nil)[0]
	}
	return v
}

func format(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(value)
	case fmt.Stringer: // sizes and secrets
		return value.String()
	}
	switch v.Kind() {
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, format(v.Index(i)))
		}
		if len(items) == 0 {
			return ""
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		return "" // no mapping has a default
	}
	return fmt.Sprint(v.Interface())
}
