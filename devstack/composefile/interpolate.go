package composefile

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

// depthMax bounds defaults inside defaults, ${A:-${B:-c}}; people write two.
const depthMax = 16

// interpolateTree returns v with the variables in all its strings filled in.
// path names the place for errors.
func interpolateTree(path string, v any, env map[string]string) (any, error) {
	switch v := v.(type) {
	case string:
		s, err := Interpolate(v, env)
		if err != nil {
			return nil, fmt.Errorf("interpolate %s: %w", path, err)
		}
		return s, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range sortedKeys(v) {
			filled, err := interpolateTree(path+"."+key, v[key], env)
			if err != nil {
				return nil, err
			}
			out[key] = filled
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(v))
		for i, item := range v {
			filled, err := interpolateTree(fmt.Sprintf("%s[%d]", path, i), item, env)
			if err != nil {
				return nil, err
			}
			out = append(out, filled)
		}
		return out, nil
	default:
		return v, nil
	}
}

// sortedKeys makes the first error of a map the same in every run.
func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// Interpolate fills in $NAME, ${NAME} and the forms ${NAME:-default},
// ${NAME-default}, ${NAME:?message}, ${NAME?message}, ${NAME:+other},
// ${NAME+other}; $$ is a dollar. With the colon an empty value counts as unset.
// A variable that the :? or ? form demands and env does not have is an error
// with its message.
func Interpolate(s string, env map[string]string) (string, error) {
	return interpolate(s, env, 0)
}

func interpolate(s string, env map[string]string, depth int) (string, error) {
	if depth > depthMax {
		return "", fmt.Errorf("expand %q: nested deeper than %d", s, depthMax)
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		switch {
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			s = rest[1:]
		case strings.HasPrefix(rest, "{"):
			end := closingBrace(rest)
			if end < 0 {
				return "", fmt.Errorf("expand %q: unclosed brace", "$"+rest)
			}
			value, err := expand(rest[1:end], env, depth)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			s = rest[end+1:]
		default:
			name := rest[:nameLength(rest)]
			if name == "" {
				return "", fmt.Errorf("expand %q: no variable name", "$"+rest)
			}
			out.WriteString(env[name])
			s = rest[len(name):]
		}
	}
}

// expand evaluates what stands between ${ and }.
func expand(body string, env map[string]string, depth int) (string, error) {
	name := body[:nameLength(body)]
	if name == "" {
		return "", fmt.Errorf("expand %q: no variable name", body)
	}
	operator := body[len(name):]
	value, set := env[name]
	if strings.HasPrefix(operator, ":") {
		operator = operator[1:]
		set = value != ""
	} else if operator == "" {
		return value, nil
	}
	if operator == "" {
		return "", fmt.Errorf("expand %q: nothing after the colon", body)
	}
	argument := operator[1:]
	switch operator[0] {
	case '-':
		if set {
			return value, nil
		}
		return interpolate(argument, env, depth+1)
	case '+':
		if !set {
			return "", nil
		}
		return interpolate(argument, env, depth+1)
	case '?':
		if !set {
			return "", fmt.Errorf("variable %s is required: %s", name, argument)
		}
		return value, nil
	default:
		return "", fmt.Errorf("expand %q: operator %q is none of - + ?", body, operator[:1])
	}
}

// closingBrace returns the index of the brace that closes s[0], or -1.
func closingBrace(s string) int {
	open := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			open++
		case '}':
			open--
			if open == 0 {
				return i
			}
		}
	}
	return -1
}

// nameLength returns the length of the variable name that s starts with.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		digit := c >= '0' && c <= '9'
		if !letter && (i == 0 || !digit) {
			return i
		}
	}
	return len(s)
}

// ReadEnv reads a .env file: NAME=value lines, # comments, values as they
// stand or in single or double quotes.
func ReadEnv(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read env file: %w", err)
	}
	env := map[string]string{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found || nameLength(name) != len(name) {
			return nil, fmt.Errorf("parse %s line %d: want NAME=value, got %q", path, i+1, line)
		}
		if _, repeated := env[name]; repeated {
			return nil, fmt.Errorf("parse %s line %d: %s is set twice", path, i+1, name)
		}
		env[name] = unquote(value)
	}
	return env, nil
}

// unquote strips quotes, or the comment that follows an unquoted value.
func unquote(value string) string {
	value = strings.TrimSpace(value)
	for _, quote := range []string{`"`, `'`} {
		if strings.HasPrefix(value, quote) {
			if inner, _, closed := strings.Cut(value[1:], quote); closed {
				return inner
			}
		}
	}
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value)
}
