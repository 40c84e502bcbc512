package tidy

import (
	"go/ast"
	"go/token"
	"strings"
)

const (
	// fileLinesMax is the longest file. Beyond it a file holds two nouns.
	fileLinesMax = 500
	// funcLinesMax is the longest function: what one screen shows.
	funcLinesMax = 70
	// paramsMax is the longest parameter list; more become an Options struct.
	paramsMax = 4
	// methodsMax is the largest interface; a consumer rarely needs three verbs.
	methodsMax = 3
)

// longMarker excuses one long function of a service: straight-line wiring.
const longMarker = "//tidy:long"

// checkFileLength keeps a file to one noun.
func checkFileLength(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if f.lines > fileLinesMax && !f.generated {
			rep.add(f.path, fileLinesMax+1, "%d lines; a file has at most %d", f.lines, fileLinesMax)
		}
	}
}

// checkFuncLength keeps a function to one screen. A test's tables are data and
// do not count.
func checkFuncLength(t *tree, rep *report) {
	marked := map[string]string{} // package or service -> file of its one marker
	for _, f := range t.goFiles {
		if f.generated {
			continue
		}
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			lines := f.line(fn.End()) - f.line(fn.Pos()) + 1
			if f.test {
				lines -= f.dataLines(fn.Body)
			}
			reason, isMarked := longReason(fn)
			switch {
			case !isMarked && lines > funcLinesMax:
				rep.add(f.path, f.line(fn.Pos()), "func %s has %d lines; a function has at most %d", fn.Name.Name, lines, funcLinesMax)
			case isMarked && lines <= funcLinesMax:
				rep.add(f.path, f.line(fn.Pos()), "func %s has %d lines and needs no %s", fn.Name.Name, lines, longMarker)
			case isMarked && reason == "":
				rep.add(f.path, f.line(fn.Pos()), "%s needs a reason", longMarker)
			case isMarked:
				f.checkOnlyMarker(fn, marked, rep)
			}
		}
	}
}

// checkOnlyMarker keeps the marker rare: one a service, elsewhere one a package.
func (f *goFile) checkOnlyMarker(fn *ast.FuncDecl, marked map[string]string, rep *report) {
	scope := f.dir
	if self, ok := (edge{from: "services/*"}).holds(f.dir); ok && self != "services/internal" {
		scope = self
	}
	if first, taken := marked[scope]; taken {
		rep.add(f.path, f.line(fn.Pos()), "%s has its one %s already, in %s", scope, longMarker, first)
		return
	}
	marked[scope] = f.path
}

// longReason finds the marker in the comment of fn.
func longReason(fn *ast.FuncDecl) (reason string, marked bool) {
	if fn.Doc == nil {
		return "", false
	}
	for _, c := range fn.Doc.List {
		if rest, ok := strings.CutPrefix(c.Text, longMarker); ok {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// dataLines counts the lines of body that are tables or multi-line strings.
func (f *goFile) dataLines(body ast.Node) int {
	sum := 0
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			switch n.Type.(type) {
			case *ast.ArrayType, *ast.MapType:
				sum += f.line(n.End()) - f.line(n.Pos())
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				sum += f.line(n.End()) - f.line(n.Pos())
			}
		}
		return true
	})
	return sum
}

// checkParams keeps parameter lists short.
func checkParams(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if f.generated {
			continue
		}
		fuzz := f.fuzzBodies()
		ast.Inspect(f.ast, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncType)
			if !ok || within(fuzz, fn.Pos()) {
				return true // a fuzz body takes one parameter a fuzzed value
			}
			if count := f.countParams(fn); count > paramsMax {
				rep.add(f.path, f.line(fn.Pos()), "%d parameters; beyond %d they become an Options struct", count, paramsMax)
			}
			return true
		})
	}
}

// countParams counts what a caller has to get right: not the context, which is
// always first, and in a test not the testing.T.
func (f *goFile) countParams(fn *ast.FuncType) int {
	count := 0
	for _, field := range fn.Params.List {
		typ := field.Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		switch pkg, name := f.selected(typ); {
		case pkg == "context" && name == "Context", pkg == "testing":
			continue
		}
		count += max(1, len(field.Names))
	}
	return count
}

// checkInterfaces keeps interfaces to the verbs one consumer needs.
func checkInterfaces(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if f.generated {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			iface, ok := spec.Type.(*ast.InterfaceType)
			if !ok {
				return true
			}
			if count := countMethods(iface); count > methodsMax {
				rep.add(f.path, f.line(spec.Pos()), "interface %s has %d methods; the consumer declares the at most %d it needs", spec.Name.Name, count, methodsMax)
			}
			return true
		})
	}
}

// countMethods counts methods, and an embedded interface as one.
func countMethods(iface *ast.InterfaceType) int {
	count := 0
	for _, m := range iface.Methods.List {
		switch m.Type.(type) {
		case *ast.FuncType:
			count += len(m.Names)
		case *ast.Ident, *ast.SelectorExpr:
			count++
		}
	}
	return count
}
