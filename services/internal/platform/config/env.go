package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
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

// unused says of each variable with our prefix that sets nothing what it may have
// been meant to be, sorted. They are not faults: a cluster may set some
// (Kubernetes does for each Service).
func (v *variables) unused(known []string) []string {
	var lines []string
	for name := range v.values {
		if !strings.HasPrefix(name, EnvPrefix) || v.used[name] {
			continue
		}
		line := name + " sets no field and is ignored"
		if near := nearest(name[len(EnvPrefix):], known); near != "" {
			line += fmt.Sprintf("; the nearest is %s%s", EnvPrefix, near)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// EnvName returns the variable that sets the field at path, "" for a field inside
// a list or a mapping: those are set whole.
func EnvName(path string) string {
	if strings.ContainsAny(path, "[]*") {
		return ""
	}
	return EnvPrefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(path))
}

// EnvNames lists the variables that set the fields of t, without EnvPrefix.
func EnvNames(t reflect.Type) []string {
	var names []string
	for _, f := range Fields(t) {
		if name := EnvName(f.Path); name != "" {
			names = append(names, name[len(EnvPrefix):])
		}
	}
	return names
}

// overlay sets each field whose variable is in the environment. A struct is
// walked, and may also be set whole as one YAML text; lists and maps are set
// whole.
func overlay(v reflect.Value, path string, env *variables, d *decoder) {
	if path != "" {
		name := EnvName(path)
		if text, ok := env.lookup(name); ok {
			d.forget(path)
			d.from(path, name)
			d.variable(name, text, v, path)
		}
	}
	if v.Kind() != reflect.Struct || isScalar(v.Type()) {
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch name := fieldName(f); {
		case inlined(f):
			overlay(v.Field(i), path, env, d)
		case name != "":
			overlay(v.Field(i), join(path, name), env, d)
		}
	}
}

// variable reads the text of a variable into v. Single values are written as
// text, a list of them may be written with commas, all else is YAML.
func (d *decoder) variable(name, text string, v reflect.Value, path string) {
	t := v.Type()
	if isScalar(t) {
		if err := setText(v, text); err != nil {
			d.unreadable(path, name, "%v", err)
		}
		return
	}
	listed := t.Kind() == reflect.Slice && isScalar(t.Elem())
	if listed && !strings.HasPrefix(strings.TrimSpace(text), "[") && !strings.Contains(text, "\n") {
		d.commas(name, text, v, path)
		return
	}
	n, err := parse(name, []byte(text))
	if err != nil {
		d.unreadable(path, "", "%v", err)
		return
	}
	if n != nil {
		from := &decoder{findings: d.findings, name: name, root: d.root}
		from.value(n, v, path)
	}
}

func (d *decoder) commas(name, text string, v reflect.Value, path string) {
	list := reflect.MakeSlice(v.Type(), 0, strings.Count(text, ",")+1)
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := setText(element, item); err != nil {
			d.unreadable(fmt.Sprintf("%s[%d]", path, list.Len()), name, "%v", err)
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
}
