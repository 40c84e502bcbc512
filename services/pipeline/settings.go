package pipeline

import (
	"reflect"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Setting is one field of the configuration, as documentation and tests need it.
type Setting struct {
	// Path is its name in the file: the elements of a list are under "[]", the
	// values of a mapping under "*".
	Path string
	// Variable sets it by environment; "" inside lists and mappings, which are set
	// whole.
	Variable string
	// Package, Struct and Field say where it is declared, and so described.
	Package, Struct, Field string
	// Kind is what is written there, in words; "" for a group of fields.
	Kind string
	// Value is what it is, as it would be written, secrets as <set>; "" for none.
	Value string
	// ReadBy are the services that read it.
	ReadBy []Name
}

// Settings lists every field of c in the order of the file. A list shows its
// first element; without one, what an empty element means.
func (c Config) Settings() []Setting {
	var all []Setting
	for _, f := range config.Fields(reflect.TypeFor[Config]()) {
		s := Setting{
			Path: f.Path, Variable: config.EnvName(f.Path),
			Package: f.Owner.PkgPath(), Struct: f.Owner.Name(), Field: f.Name, ReadBy: readers(f.Path),
		}
		if f.Leaf() {
			s.Kind, s.Value = f.Kind(), f.Value(reflect.ValueOf(c))
		}
		all = append(all, s)
	}
	return all
}

// readers are the services whose configuration has the section of path.
func readers(path string) []Name {
	section, _, _ := strings.Cut(path, ".")
	var names []Name
	for _, d := range directory() {
		if d.name != Simulate && (slices.Contains(d.sections, section) || section == "mode" || section == "log") {
			names = append(names, d.name)
		}
	}
	return names
}
