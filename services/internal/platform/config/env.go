package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// variables are the environment, with a note of which were asked for.
type variables struct {
	values map[string]string
	used   map[string]bool
}

func environment(environ []string) *variables {
	v := &variables{values: map[string]string{}, used: map[string]bool{}}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			v.values[name] = value
		}
	}
	return v
}

func (v *variables) lookup(name string) (string, bool) {
	value, ok := v.values[name]
	if ok {
		v.used[name] = true
	}
	return value, ok
}

// unused returns the variables with our prefix that set nothing, sorted. They
// are no faults: a cluster may set some of its own accord (Kubernetes does for
// each Service).
func (v *variables) unused() []string {
	var names []string
	for name := range v.values {
		if strings.HasPrefix(name, EnvPrefix) && !v.used[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// EnvName returns the variable that sets the field at path.
func EnvName(path ...string) string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(strings.Join(path, "_")))
}

// overlay sets each field whose variable is in the environment. A struct is
// walked; everything else, lists and maps among them, is set whole.
func overlay(v reflect.Value, path []string, env *variables, p *Problems) {
	if v.Kind() == reflect.Struct && !isScalar(v) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch name := fieldName(f); {
			case inlined(f):
				overlay(v.Field(i), path, env, p)
			case name != "":
				overlay(v.Field(i), append(slices.Clone(path), name), env, p)
			}
		}
		// A struct may also be set whole, as one YAML text.
	}
	if len(path) == 0 {
		return
	}
	text, ok := env.lookup(EnvName(path...))
	if !ok {
		return
	}
	if err := set(v, text); err != nil {
		p.Check(false, strings.Join(path, "."), "%s: %v", EnvName(path...), err)
	}
}

// isScalar says that v reads itself from one YAML value.
func isScalar(v reflect.Value) bool {
	switch v.Addr().Interface().(type) {
	case *Secret, *ByteSize:
		return true
	}
	return false
}

// set reads text into v. Text is a string as it stands, a list of scalars may
// be written with commas, all else is YAML.
func set(v reflect.Value, text string) error {
	switch target := v.Addr().Interface().(type) {
	case *string:
		*target = text
		return nil
	case *Secret:
		*target = Secret{ref: text}
		return nil
	}
	if v.Kind() == reflect.Slice && !strings.HasPrefix(strings.TrimSpace(text), "[") && !strings.Contains(text, "\n") {
		return setList(v, text)
	}
	fresh := reflect.New(v.Type())
	if err := yaml.UnmarshalWithOptions([]byte(text), fresh.Interface(), yaml.Strict()); err != nil {
		return plainError(err)
	}
	v.Set(fresh.Elem())
	return nil
}

func setList(v reflect.Value, text string) error {
	list := reflect.MakeSlice(v.Type(), 0, strings.Count(text, ",")+1)
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := set(element, item); err != nil {
			return err
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
	return nil
}
