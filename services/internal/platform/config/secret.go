package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// masked is what a secret prints as, whatever prints it.
const masked = "<set>"

// secretBytesMax bounds a secret read from a file; the largest in use is an RSA
// private key of about 3 KiB.
const secretBytesMax = 64 << 10

// Secret is a value that is never printed. In the file it is env:NAME, file:PATH
// or a literal. The zero value is not set.
type Secret struct {
	ref   string // as written
	value string // after resolve
}

// Literal returns a resolved secret.
func Literal(value string) Secret { return Secret{ref: value, value: value} }

// Reveal returns the value. Callers pass it to the peer it is for and nowhere
// else.
func (s Secret) Reveal() string { return s.value }

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.value != "" }

// String returns <set>, or nothing when there is no value.
func (s Secret) String() string {
	if s.ref == "" && s.value == "" {
		return ""
	}
	return masked
}

// GoString keeps %#v from showing the value.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps encoders from showing the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalYAML takes env:NAME, file:PATH or a literal.
func (s *Secret) UnmarshalYAML(text []byte) error {
	var ref string
	if err := yaml.Unmarshal(text, &ref); err != nil {
		return fmt.Errorf("a secret is env:NAME, file:PATH or a literal string")
	}
	*s = Secret{ref: ref}
	return nil
}

type resolver struct {
	env      *variables
	readFile func(string) ([]byte, error)
}

func (r resolver) value(ref string) (string, error) {
	if name, ok := strings.CutPrefix(ref, "env:"); ok {
		value, found := r.env.lookup(name)
		if !found || value == "" {
			return "", fmt.Errorf("environment variable %s is not set", name)
		}
		return value, nil
	}
	name, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return ref, nil
	}
	data, err := r.readFile(name)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	data = bytes.TrimRight(data, "\r\n")
	if len(data) == 0 || len(data) > secretBytesMax {
		return "", fmt.Errorf("file %s has %d bytes, want 1 to %d", name, len(data), secretBytesMax)
	}
	return string(data), nil
}

// resolve gives every secret below v its value.
func resolve(v reflect.Value, path []string, r resolver, p *Problems) {
	switch v.Kind() {
	case reflect.Struct:
		if s, ok := v.Addr().Interface().(*Secret); ok {
			resolveSecret(s, path, r, p)
			return
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			sub := path
			if name := fieldName(f); name != "" {
				sub = append(append([]string{}, path...), name)
			}
			resolve(v.Field(i), sub, r, p)
		}
	case reflect.Slice:
		for i := range v.Len() {
			resolve(v.Index(i), append(append([]string{}, path...), fmt.Sprint(i)), r, p)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			resolve(v.Elem(), path, r, p)
		}
	}
}

func resolveSecret(s *Secret, path []string, r resolver, p *Problems) {
	if s.ref == "" || s.value != "" {
		return
	}
	value, err := r.value(s.ref)
	if err != nil {
		p.Check(false, strings.Join(path, "."), "%v", err)
		return
	}
	s.value = value
}
