package tidy

import (
	"go/ast"
	"go/token"
	"slices"
)

// span is a stretch of source.
type span struct{ from, to token.Pos }

// within says whether pos is in one of spans.
func within(spans []span, pos token.Pos) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.from <= pos && pos < s.to })
}

// checkTests keeps tests off the real clock and honest about what they skip.
func checkTests(t *tree, rep *report) {
	inside := map[string]bool{}  // "dir func" passed to synctest.Test by name
	openers := map[string]bool{} // "dir func" that runs its argument in a bubble
	for _, f := range t.goFiles {
		f.bubbles(f.ast, func(arg ast.Expr) {
			if id, ok := arg.(*ast.Ident); ok {
				inside[f.dir+" "+id.Name] = true
			}
		})
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if ok && fn.Recv == nil && takesFunc(fn) {
				f.bubbles(fn, func(ast.Expr) { openers[f.dir+" "+fn.Name.Name] = true })
			}
		}
	}
	for _, f := range t.goFiles {
		if !f.production() {
			f.checkSleeps(inside, openers, rep)
		}
	}
}

// takesFunc says whether fn has a parameter that is a function.
func takesFunc(fn *ast.FuncDecl) bool {
	return slices.ContainsFunc(fn.Type.Params.List, func(p *ast.Field) bool {
		_, ok := p.Type.(*ast.FuncType)
		return ok
	})
}

// bubbles calls visit with what runs inside each synctest.Test below node.
func (f *goFile) bubbles(node ast.Node, visit func(ast.Expr)) {
	ast.Inspect(node, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			return true
		}
		if pkg, name := f.selected(call.Fun); pkg == "testing/synctest" && name == "Test" {
			visit(call.Args[1])
		}
		return true
	})
}

// virtualTime finds what runs in bubbles: literals given to synctest.Test or to
// a function that opens a bubble, and functions named in either.
func (f *goFile) virtualTime(inside, openers map[string]bool) []span {
	var virtual []span
	f.bubbles(f.ast, func(arg ast.Expr) { virtual = append(virtual, span{arg.Pos(), arg.End()}) })
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if id, ok := call.Fun.(*ast.Ident); ok && openers[f.dir+" "+id.Name] {
			for _, arg := range call.Args {
				if lit, ok := arg.(*ast.FuncLit); ok {
					virtual = append(virtual, span{lit.Pos(), lit.End()})
				}
			}
		}
		return true
	})
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && inside[f.dir+" "+fn.Name.Name] {
			virtual = append(virtual, span{fn.Pos(), fn.End()})
		}
	}
	return virtual
}

// checkSleeps finds time.Sleep outside bubbles, and skipped tests.
func (f *goFile) checkSleeps(inside, openers map[string]bool, rep *report) {
	virtual := f.virtualTime(inside, openers)
	fuzz := f.fuzzBodies()
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, name := f.selected(sel)
		switch {
		case pkg == "time" && name == "Sleep":
			if !within(virtual, sel.Pos()) {
				rep.add(f.path, f.line(sel.Pos()), "sleeps on the real clock; wait for a condition, or run in a synctest bubble")
			}
		case pkg == "" && !within(fuzz, sel.Pos()) && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) && isTestingVar(sel.X):
			rep.add(f.path, f.line(sel.Pos()), "skips a test; make it run")
		}
		return true
	})
}

// fuzzBodies are the functions given to f.Fuzz, which may skip an input.
func (f *goFile) fuzzBodies() []span {
	var bodies []span
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Fuzz" && isTestingVar(sel.X) {
			bodies = append(bodies, span{call.Args[0].Pos(), call.Args[0].End()})
		}
		return true
	})
	return bodies
}

// isTestingVar guesses from the name whether x is a testing.T, B, F or TB.
func isTestingVar(x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	return ok && slices.Contains([]string{"t", "b", "f", "tb"}, id.Name)
}
