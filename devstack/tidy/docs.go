package tidy

import (
	"go/ast"
	"slices"
	"strings"
)

// checkDocs asks for a package comment in every package and a comment that
// starts with the name on every exported one.
func checkDocs(t *tree, rep *report) {
	documented := map[string]bool{}
	first := map[string]*goFile{}
	for _, f := range t.goFiles {
		pkg := f.dir + " " + strings.TrimSuffix(f.ast.Name.Name, "_test")
		if first[pkg] == nil {
			first[pkg] = f
		}
		documented[pkg] = documented[pkg] || f.ast.Doc != nil
		if !f.test && !f.generated {
			f.checkExported(rep)
		}
	}
	for pkg, f := range first {
		if !documented[pkg] {
			rep.add(f.path, f.line(f.ast.Package), "package %s has no comment; say its purpose, its guarantee, what it does not do", f.ast.Name.Name)
		}
	}
}

// checkExported looks at every exported declaration of f.
func (f *goFile) checkExported(rep *report) {
	for _, decl := range f.ast.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Name.IsExported() && !wellKnown(decl) && exportedReceiver(decl) {
				f.checkComment(decl.Name, decl.Doc, rep)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				f.checkSpec(decl, spec, rep)
			}
		}
	}
}

// checkSpec looks at one type, constant or variable. In a group, the group's
// comment or one at the end of the line will do for a value.
func (f *goFile) checkSpec(decl *ast.GenDecl, spec ast.Spec, rep *report) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() {
			f.checkComment(spec.Name, either(spec.Doc, decl.Doc), rep)
		}
	case *ast.ValueSpec:
		name := spec.Names[0]
		if !name.IsExported() || spec.Comment != nil {
			return
		}
		if decl.Lparen.IsValid() && spec.Doc == nil && decl.Doc != nil {
			return
		}
		f.checkComment(name, either(spec.Doc, decl.Doc), rep)
	}
}

// either is the first comment there is.
func either(a, b *ast.CommentGroup) *ast.CommentGroup {
	if a != nil {
		return a
	}
	return b
}

// checkComment asks for a comment that starts with the name.
func (f *goFile) checkComment(name *ast.Ident, doc *ast.CommentGroup, rep *report) {
	line := f.line(name.Pos())
	if doc == nil {
		rep.add(f.path, line, "%s has no comment", name.Name)
		return
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(doc.Text()), name.Name)
	if ok && (text == "" || !strings.ContainsAny(text[:1], letters)) {
		return
	}
	rep.add(f.path, line, "the comment of %s does not start with its name", name.Name)
}

// letters may not follow the name at the start of a comment: then it is the
// name of something else.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// wellKnown methods do what the interface they satisfy says.
func wellKnown(fn *ast.FuncDecl) bool {
	return fn.Recv != nil && slices.Contains([]string{
		"Error", "String", "Unwrap", "Read", "Write", "ServeHTTP",
	}, fn.Name.Name)
}

// exportedReceiver says whether a function or method can be called from
// outside its package.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return true
	}
	typ := fn.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}
