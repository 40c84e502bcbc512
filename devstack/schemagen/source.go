package schemagen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// source is what the Go files say.
type source struct {
	structs map[string]*record
	enums   map[string][]string // values by the name of their string type
}

// record is a struct type.
type record struct {
	doc    string
	fields []field
}

type field struct {
	name     string // in JSON
	goName   string
	doc      string
	optional bool
	typ      ast.Expr
}

// readSource parses the non-test Go files of dir.
func readSource(dir string) (*source, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	s := &source{structs: map[string]*record{}, enums: map[string][]string{}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", path, err)
		}
		for _, decl := range file.Decls {
			if g, ok := decl.(*ast.GenDecl); ok {
				s.read(g)
			}
		}
	}
	return s, nil
}

func (s *source) read(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if st, ok := spec.Type.(*ast.StructType); ok {
				s.structs[spec.Name.Name] = readRecord(g.Doc.Text(), st)
			}
		case *ast.ValueSpec:
			typ, ok := spec.Type.(*ast.Ident)
			if !ok || len(spec.Values) != 1 {
				continue
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if value, err := strconv.Unquote(lit.Value); err == nil {
					s.enums[typ.Name] = append(s.enums[typ.Name], value)
				}
			}
		}
	}
}

func readRecord(doc string, st *ast.StructType) *record {
	r := &record{doc: oneLine(doc)}
	for _, f := range st.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		r.fields = append(r.fields, field{
			name: name, goName: f.Names[0].Name, typ: f.Type, optional: strings.Contains(options, "omit"),
			doc: oneLine(f.Doc.Text() + " " + f.Comment.Text()),
		})
	}
	return r
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
