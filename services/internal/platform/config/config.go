// Package config reads the one YAML file of a deployment, lays the environment
// over it, resolves secrets, and reports every fault at once with its field,
// value and bound. It knows no section: each package owns its own struct.
//
// The order is default < file < environment. Unknown keys in the file are
// faults. It never prints a secret.
package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
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
	// Name stands for File in messages.
	Name string
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// ReadFile reads a secret's file; os.ReadFile outside of tests.
	ReadFile func(name string) ([]byte, error)
	// Sections are those that will be used: only their secrets are resolved and
	// only they are validated, so that one file serves services that do not share
	// their secrets. Nil means all.
	Sections []string
}

func (s Source) uses(section string) bool {
	return section != "" && (s.Sections == nil || slices.Contains(s.Sections, section))
}

// Load lays src over dst, a pointer to a struct of sections whose present
// values are the defaults. A section that the file has starts from its value in
// fresh (same type as dst's element) instead, so that a file replaces a section
// whole. It returns names of environment variables that start with EnvPrefix
// and set nothing, and one error that lists every fault.
func Load(dst, fresh any, src Source) (unused []string, err error) {
	root := reflect.ValueOf(dst).Elem()
	if len(src.File) > 0 {
		if err := decodeFile(root, reflect.Indirect(reflect.ValueOf(fresh)), src); err != nil {
			return nil, err
		}
	}
	var p Problems
	env := environment(src.Environ)
	overlay(root, nil, env, &p)
	for i := range root.NumField() {
		name := fieldName(root.Type().Field(i))
		if !src.uses(name) {
			continue
		}
		resolve(root.Field(i), []string{name}, resolver{env: env, readFile: src.ReadFile}, &p)
		if v, ok := root.Field(i).Interface().(Validator); ok {
			v.Validate(p.At(name))
		}
	}
	return env.unused(), p.Err()
}

func decodeFile(root, fresh reflect.Value, src Source) error {
	var sections map[string]any
	if err := yaml.Unmarshal(src.File, &sections); err != nil {
		return fmt.Errorf("parse %s: %w", src.Name, plainError(err))
	}
	for i := range root.NumField() {
		if _, ok := sections[fieldName(root.Type().Field(i))]; ok {
			root.Field(i).Set(fresh.Field(i))
		}
	}
	if err := decodeStrict(src.File, root.Addr().Interface()); err != nil {
		return fmt.Errorf("read %s: %w", src.Name, err)
	}
	return nil
}

// decodeStrict turns a panic of the YAML package into an error: it has no answer
// to a scalar with a tag, !!str 123, where a list is wanted.
func decodeStrict(text []byte, dst any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("a value with a tag (!!str) stands where there should be a list")
		}
	}()
	if err := yaml.UnmarshalWithOptions(text, dst, yaml.Strict()); err != nil {
		return plainError(err)
	}
	return nil
}

// plainError drops the excerpt of the file that the YAML package adds to its
// errors: it may show a secret. Line and column stay.
func plainError(err error) error {
	return errors.New(strings.TrimSpace(yaml.FormatError(err, false, false)))
}

// Print returns the effective configuration as YAML, secrets as <set>.
func Print(cfg any) (string, error) {
	out, err := yaml.Marshal(cfg)
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

// inlined says whether f's own fields stand in its parent.
func inlined(f reflect.StructField) bool {
	_, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return strings.Contains(opts, "inline")
}

// Problems collects faults. The zero value is ready; children share its list.
type Problems struct {
	prefix string
	list   *[]string
}

// At returns a collector whose fields stand under the field name.
func (p *Problems) At(name string) *Problems {
	p.init()
	return &Problems{prefix: p.path(name), list: p.list}
}

// Check notes a fault of field, formatted as for fmt.Sprintf, unless ok.
func (p *Problems) Check(ok bool, field, format string, args ...any) {
	if ok {
		return
	}
	p.init()
	*p.list = append(*p.list, p.path(field)+": "+fmt.Sprintf(format, args...))
}

// Err returns one error with a line a fault, nil when there is none.
func (p *Problems) Err() error {
	if p.list == nil || len(*p.list) == 0 {
		return nil
	}
	return &InvalidError{Faults: *p.list}
}

func (p *Problems) init() {
	if p.list == nil {
		p.list = new([]string)
	}
}

func (p *Problems) path(name string) string {
	switch {
	case p.prefix == "":
		return name
	case name == "":
		return p.prefix
	default:
		return p.prefix + "." + name
	}
}

// InvalidError lists the faults of a configuration, each "field: what".
type InvalidError struct {
	Faults []string
}

// Error returns all faults, a line each.
func (e *InvalidError) Error() string {
	noun := "faults"
	if len(e.Faults) == 1 {
		noun = "fault"
	}
	return fmt.Sprintf("configuration has %d %s:\n  %s", len(e.Faults), noun, strings.Join(e.Faults, "\n  "))
}
