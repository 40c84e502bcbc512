package schemas_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/mailstream/mailstream/schemas"
)

// The lists of values hold each constant of their type, in the order of the source.
func TestLists_HoldEveryConstant(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string][]string{}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			typ, ok := value.Type.(*ast.Ident)
			if !ok {
				continue
			}
			text, err := strconv.Unquote(value.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			constants[typ.Name] = append(constants[typ.Name], text)
		}
	}
	for name, list := range map[string][]string{
		"Type": texts(schemas.Types()), "Reason": texts(schemas.Reasons()),
		"Cause": texts(schemas.Causes()), "Confidence": texts(schemas.Confidences()),
	} {
		if len(list) == 0 || !slices.Equal(list, constants[name]) {
			t.Errorf("%s: the list has %q, the source %q", name, list, constants[name])
		}
	}
}

func texts[T ~string](values []T) []string {
	var list []string
	for _, v := range values {
		list = append(list, string(v))
	}
	return list
}
