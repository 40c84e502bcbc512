package tidy

import "go/ast"

// paramsMax is the longest parameter list; more become an Options struct.
const paramsMax = 4

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
		case pkg == "unsafe": // the signature of a C function is not ours
			return 0
		}
		count += max(1, len(field.Names))
	}
	return count
}
