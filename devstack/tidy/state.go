package tidy

import (
	"go/ast"
	"go/token"
	"strings"
)

// checkConstructors keeps goroutines out of New (what Run did not start, Run
// cannot wait for) and state out of packages (two instances would share it).
func checkConstructors(t *tree, rep *report) {
	vars := map[string]map[string]bool{} // dir -> names of package variables
	for _, f := range t.goFiles {
		if f.production() {
			f.packageVars(vars, rep)
		}
	}
	for _, f := range t.goFiles {
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil || !f.production() {
				continue
			}
			if isConstructor(fn.Name.Name) {
				f.checkGoroutines(fn, rep)
			}
			f.checkGlobalWrites(fn, vars[f.dir], rep)
		}
	}
}

// isConstructor matches New and NewThing, not Newest.
func isConstructor(name string) bool {
	rest, ok := strings.CutPrefix(name, "New")
	return ok && (rest == "" || ast.IsExported(rest))
}

// checkGoroutines looks for go statements in a constructor.
func (f *goFile) checkGoroutines(fn *ast.FuncDecl, rep *report) {
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if g, ok := n.(*ast.GoStmt); ok {
			rep.add(f.path, f.line(g.Pos()), "func %s starts a goroutine; Run does that", fn.Name.Name)
		}
		return true
	})
}

// packageVars collects the names of f's package variables. One whose type is
// made to be changed by several goroutines is state by its declaration.
func (f *goFile) packageVars(vars map[string]map[string]bool, rep *report) {
	if vars[f.dir] == nil {
		vars[f.dir] = map[string]bool{}
	}
	for _, decl := range f.ast.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			value := spec.(*ast.ValueSpec) // a var declaration has no others
			for _, name := range value.Names {
				vars[f.dir][name.Name] = name.Name != "_"
			}
			typ := value.Type
			if index, ok := typ.(*ast.IndexExpr); ok {
				typ = index.X // atomic.Pointer[T]
			}
			switch pkg, name := f.selected(typ); {
			case pkg == "sync" && (name == "Mutex" || name == "RWMutex" || name == "Map"), pkg == "sync/atomic":
				rep.add(f.path, f.line(value.Pos()), "state at package level (%s.%s); make it a field", pkg, name)
			}
		}
	}
}

// checkGlobalWrites looks for assignments to package variables. A name that fn
// declares anywhere is taken for a local one.
func (f *goFile) checkGlobalWrites(fn *ast.FuncDecl, vars map[string]bool, rep *report) {
	local := localNames(fn)
	check := func(target ast.Expr) {
		if id := root(target); id != nil && vars[id.Name] && !local[id.Name] {
			rep.add(f.path, f.line(target.Pos()), "changes the package variable %s; make it a field", id.Name)
		}
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, target := range n.Lhs {
					check(target)
				}
			}
		case *ast.IncDecStmt:
			check(n.X)
		}
		return true
	})
}

// root is the variable that an assignment to x.y[z] changes; nil if none.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// localNames collects every name that fn declares: receiver, parameters,
// results, variables, those of functions inside it.
func localNames(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				names[name.Name] = true
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				names[name.Name] = true
			}
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, target := range n.Lhs {
					if id, ok := target.(*ast.Ident); ok {
						names[id.Name] = true
					}
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					names[id.Name] = true
				}
			}
		}
		return true
	})
	return names
}
