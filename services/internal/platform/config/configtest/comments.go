// Package configtest holds the comments of settings to their code, for tests.
package configtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

// CommentsNameDefaults checks the comments of a struct of settings that are in no
// configuration file: each "Default X" must be the value in settings, filled with
// defaults. File declares the type of settings; least is how many values it must
// find.
func CommentsNameDefaults(t *testing.T, file string, settings any, least int) {
	t.Helper()
	checked := 0
	for _, f := range fieldsOf(t, file, reflect.TypeOf(settings).Name()) {
		said := regexp.MustCompile(`\bDefault ([0-9]\w*)(?: (?:to|and) ([0-9]\w*))?`).FindStringSubmatch(strings.Join(strings.Fields(f.Doc.Text()), " "))
		if said == nil {
			continue
		}
		var have []any
		for _, name := range f.Names {
			have = append(have, reflect.ValueOf(settings).FieldByName(name.Name).Interface())
		}
		if backoff, ok := have[0].(lifecycle.Backoff); ok {
			have = []any{backoff.Min, backoff.Max}
		}
		for i, value := range have {
			checked++
			if !means(said[1+i], value) {
				t.Errorf("%s: the comment of %s says %s, the code has %v", file, f.Names[0].Name, said[1+i], value)
			}
		}
	}
	if checked < least {
		t.Errorf("%s: %d defaults were read, want at least %d", file, checked, least)
	}
}

// means says whether text represents value.
func means(text string, value any) bool {
	if d, ok := value.(time.Duration); ok {
		said, err := config.ParseDuration(text)
		return err == nil && said == d
	}
	said, err := config.ParseByteSize(text)
	return err == nil && int64(said) == reflect.ValueOf(value).Int()
}

func fieldsOf(t *testing.T, file, name string) []*ast.Field {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var fields []*ast.Field
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == name {
			fields = spec.Type.(*ast.StructType).Fields.List
		}
		return true
	})
	if len(fields) == 0 {
		t.Fatalf("%s has no struct %s", file, name)
	}
	return fields
}
