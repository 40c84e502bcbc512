// Package config reads the one YAML file of a deployment, lays the environment
// over it, resolves secrets, and reports every fault at once with its place,
// field, value and bound. It knows no section: each package owns its own struct.
//
// The order is default < file < environment. Unknown keys in the file are
// faults. It never prints a secret.
//
// The YAML package only parses; values are read here, by the type of the field
// they are for. So `no` is text where text is wanted, 010 is refused where a
// number is wanted instead of being taken for 8, every fault has a line and a
// column, and none names a Go type.
package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// EnvPrefix starts the name of every environment variable that sets a field.
const EnvPrefix = "MAILSTREAM_"

// Validator is a section that can say what is wrong with it.
type Validator interface {
	// Validate reports every fault to p, which already carries the section's path.
	Validate(p *Problems)
}

// Source is where values come from besides the defaults.
type Source struct {
	// File is the YAML text; nil when there is none.
	File []byte
	// Name is shown instead of File in messages.
	Name string
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// ReadFile reads a secret's file; os.ReadFile outside of tests.
	ReadFile func(name string) ([]byte, error)
	// Sections are those that will be used: only their secrets are resolved and
	// only they are validated, so that one file serves services that do not share
	// their secrets. Nil means all.
	Sections []string
	// More returns sections that are used because of what the file and the environment
	// say, beside Sections; nil has none. Secrets are not resolved yet.
	More func() []string
	// Across reports faults that take more than one section to see; nil has none.
	// It is called after the sections have validated themselves.
	Across func(p *Problems)
}

func (s Source) uses(section string) bool {
	return section != "" && (s.Sections == nil || slices.Contains(s.Sections, section))
}

// Load lays src over dst, a pointer to a struct of sections whose present
// values are the defaults. A section that the file has starts from its value in
// fresh (same type as dst's element) instead, so that a file replaces a section
// whole. It returns a line for each environment variable that starts with
// EnvPrefix and sets nothing, and one error that lists every fault.
func Load(dst, fresh any, src Source) (unused []string, err error) {
	root := reflect.ValueOf(dst).Elem()
	d := newDecoder(src.Name, root.Type())
	if err := d.file(root, reflect.Indirect(reflect.ValueOf(fresh)), src.File); err != nil {
		return nil, err
	}
	env := environment(src.Environ)
	overlay(root, "", env, d)
	if src.Sections != nil && src.More != nil {
		src.Sections = slices.Concat(src.Sections, src.More())
	}
	p := &Problems{findings: d.findings}
	for i := range root.NumField() {
		name := fieldName(root.Type().Field(i))
		r := resolver{env: env, readFile: src.ReadFile, noteOnly: !src.uses(name)}
		walkSecrets(root.Field(i), name, func(path string, s *Secret) { s.resolve(path, r, d) })
	}
	for i := range root.NumField() {
		name := fieldName(root.Type().Field(i))
		if v, ok := root.Field(i).Interface().(Validator); ok && src.uses(name) {
			v.Validate(p.At(name))
		}
	}
	if src.Across != nil {
		src.Across(p)
	}
	return env.unused(EnvNames(root.Type())), p.Err()
}

// Decode reads one YAML text into dst, a pointer, by the rules of Load: what
// dst does not know is a fault. Name is shown instead of the text in messages.
func Decode(name string, text []byte, dst any) error {
	v := reflect.ValueOf(dst).Elem()
	d := newDecoder(name, v.Type())
	n, err := parse(name, text)
	if err != nil {
		return err
	}
	if n != nil {
		d.value(n, v, "")
	}
	return (&Problems{findings: d.findings}).Err()
}

// Print returns the effective configuration as YAML, secrets as <set>.
func Print(cfg any) (string, error) {
	out, err := yaml.Dump(cfg, yaml.WithIndent(2))
	if err != nil {
		return "", fmt.Errorf("print configuration: %w", err)
	}
	return string(out), nil
}

// fieldName is the name of a field in the file; "" for one that is not in it.
func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "-" || !f.IsExported() {
		return ""
	}
	return name
}

// inlined says whether the fields of f belong to its parent.
func inlined(f reflect.StructField) bool {
	_, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return strings.Contains(opts, "inline")
}

// join returns the path of the field called name below path.
func join(path, name string) string {
	switch {
	case path == "":
		return name
	case name == "":
		return path
	case name[0] == '[': // an element of a section that is a list
		return path + name
	default:
		return path + "." + name
	}
}
