package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
)

// masked is what a secret prints as, whatever prints it.
const masked = "<set>"

// secretBytesMax bounds a secret read from a file; the largest in use is an RSA
// private key of about 3 KiB.
const secretBytesMax = 64 << 10

// Secret is a value that is never printed. In the file it is env:NAME, file:PATH
// or a literal. The zero value is not set.
type Secret struct {
	ref   string      // as written
	value string      // after resolve
	file  *fileSecret // of a file only; copies share it
}

// fileSecret is the value of a file, which may be written anew.
type fileSecret struct {
	now  atomic.Pointer[string]
	read func() (string, error)
}

// Literal returns a resolved secret.
func Literal(value string) Secret { return Secret{ref: value, value: value} }

// Reveal returns the value. Callers pass it to the peer it is for and nowhere
// else.
func (s Secret) Reveal() string {
	if s.file != nil {
		return *s.file.now.Load()
	}
	return s.value
}

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.Reveal() != "" }

// Refresh reads the file of a secret anew, for all copies of it, and reports whether
// the value is another one. After an error the secret is what it was. Other secrets
// never change.
func (s Secret) Refresh() (changed bool, err error) {
	if s.file == nil {
		return false, nil
	}
	value, err := s.file.read()
	if err != nil || value == *s.file.now.Load() {
		return false, err
	}
	s.file.now.Store(&value)
	return true, nil
}

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

type resolver struct {
	env      *variables
	readFile func(string) ([]byte, error)
	// noteOnly marks the variables that secrets name as meant, and resolves none.
	noteOnly bool
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

// WalkSecrets calls visit with every secret of cfg, a struct of sections, set or
// not, and its path.
func WalkSecrets(cfg any, visit func(path string, s Secret)) {
	v := reflect.New(reflect.TypeOf(cfg)).Elem() // one that can be addressed
	v.Set(reflect.ValueOf(cfg))
	walkSecrets(v, "", func(path string, s *Secret) { visit(path, *s) })
}

func walkSecrets(v reflect.Value, path string, visit func(path string, s *Secret)) {
	switch v.Kind() {
	case reflect.Struct:
		if s, ok := v.Addr().Interface().(*Secret); ok {
			visit(path, s)
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				walkSecrets(v.Field(i), join(path, fieldName(f)), visit)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkSecrets(v.Index(i), path+"["+strconv.Itoa(i)+"]", visit)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			walkSecrets(v.Elem(), path, visit)
		}
	}
}

// resolve gives the secret at path its value.
func (s *Secret) resolve(path string, r resolver, d *decoder) {
	if s.ref == "" || s.value != "" {
		return
	}
	if r.noteOnly {
		if name, ok := strings.CutPrefix(s.ref, "env:"); ok {
			r.env.used[name] = true
		}
		return
	}
	value, err := r.value(s.ref)
	if err != nil {
		d.unreadable(path, d.origin(path), "%v", err)
		return
	}
	s.value = value
	if strings.HasPrefix(s.ref, "file:") {
		s.file = &fileSecret{read: func() (string, error) { return r.value(s.ref) }}
		s.file.now.Store(&value)
	}
}
