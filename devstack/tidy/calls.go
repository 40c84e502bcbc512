package tidy

import (
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// groupReader is the only package that commits offsets.
const groupReader = "services/internal/platform/kafka/group"

// checkErrors asks for a comment where a value is dropped, most often an error.
func checkErrors(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if !f.production() {
			continue
		}
		commented := f.commentedLines()
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if n, ok := n.(*ast.AssignStmt); ok && onlyBlank(n) {
				line := f.line(n.Pos())
				if commented[line] || commented[line-1] {
					commented[line] = true // covers the drops right below
				} else {
					rep.add(f.path, line, "drops a value without a comment that says why")
				}
			}
			return true
		})
	}
}

// onlyBlank says whether a statement assigns to nothing but _.
func onlyBlank(s *ast.AssignStmt) bool {
	return s.Tok == token.ASSIGN && !slices.ContainsFunc(s.Lhs, func(e ast.Expr) bool {
		id, ok := e.(*ast.Ident)
		return !ok || id.Name != "_"
	})
}

// commentedLines are the lines that have a comment.
func (f *goFile) commentedLines() map[int]bool {
	lines := map[int]bool{}
	for _, group := range f.ast.Comments {
		for line := f.line(group.Pos()); line <= f.line(group.End()); line++ {
			lines[line] = true
		}
	}
	return lines
}

// checkErrorMatching forbids telling errors apart by their words, whether the
// text is asked for in place or was put into a variable or field before.
func checkErrorMatching(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if !f.production() {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			texts := errorTexts(fn.Body)
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				if pkg, name := f.selected(call.Fun); pkg != "strings" || !slices.Contains(textTests(), name) {
					return true
				}
				if isErrorText(call.Args[0]) || texts[types.ExprString(call.Args[0])] {
					rep.add(f.path, f.line(call.Pos()), "decides by an error's text; use errors.Is, errors.AsType or a code")
				}
				return true
			})
		}
	}
}

// textTests are the functions of strings that compare texts.
func textTests() []string {
	return []string{
		"Contains", "ContainsAny", "ContainsFunc", "Count", "Cut", "CutPrefix", "CutSuffix", "EqualFold",
		"HasPrefix", "HasSuffix", "Index", "IndexAny", "LastIndex",
	}
}

// errorTexts returns what a function sets to the text of an error: variables,
// fields (text, no.detail), and fields of literals by the variable that holds
// the literal.
func errorTexts(body *ast.BlockStmt) map[string]bool {
	texts := map[string]bool{}
	note := func(to, from ast.Expr) {
		if isErrorText(from) {
			texts[types.ExprString(to)] = true
		}
		if ref, ok := from.(*ast.UnaryExpr); ok {
			from = ref.X
		}
		literal, ok := from.(*ast.CompositeLit)
		if !ok {
			return
		}
		for _, e := range literal.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && isErrorText(kv.Value) {
				texts[types.ExprString(to)+"."+types.ExprString(kv.Key)] = true
			}
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i := range n.Lhs {
				if len(n.Lhs) == len(n.Rhs) {
					note(n.Lhs[i], n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			for i := range n.Values {
				note(n.Names[i], n.Values[i])
			}
		}
		return true
	})
	return texts
}

// isErrorText says whether e is a call of Error() or a part of one.
func isErrorText(e ast.Expr) bool {
	if slice, ok := e.(*ast.SliceExpr); ok {
		e = slice.X
	}
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) > 0 {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Error"
}

// checkChannels asks for a name for every buffer.
func checkChannels(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if !f.production() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); !ok || id.Name != "make" {
				return true
			}
			lit, ok := call.Args[1].(*ast.BasicLit)
			if _, isChan := call.Args[0].(*ast.ChanType); !ok || !isChan {
				return true
			}
			if n, err := strconv.Atoi(lit.Value); err != nil || n > 1 {
				rep.add(f.path, f.line(call.Pos()), "a buffer of %s has no name; make it a constant with a reason", lit.Value)
			}
			return true
		})
	}
}

// commitCall matches kgo's and kadm's ways to commit.
var commitCall = regexp.MustCompile(`^Commit(All)?(Offsets|Records|MarkedOffsets|UncommittedOffsets)`)

// checkCommitSite keeps one call in the services that commits offsets.
func checkCommitSite(t *tree, rep *report) {
	first := ""
	for _, f := range t.goFiles {
		if !in(f.dir, "services") || !f.production() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			switch {
			case !ok || !commitCall.MatchString(sel.Sel.Name):
			case f.dir != groupReader:
				rep.add(f.path, f.line(call.Pos()), "commits offsets; only %s does, after the effect is durable", groupReader)
			case first != "":
				rep.add(f.path, f.line(call.Pos()), "commits offsets a second time; the one place is in %s", first)
			default:
				first = f.path
			}
			return true
		})
	}
}

// sqlStart matches text that a database would run. Lower-case words are common
// in error text, so there only a whole query counts.
var sqlStart = regexp.MustCompile(`(?s)^\s*(?:(?:SELECT|INSERT|CREATE|ALTER|DROP|TRUNCATE|OPTIMIZE|EXPLAIN|SHOW|DESCRIBE|SYSTEM|WITH)\s|DELETE FROM\s|(?i:select\s.+\sfrom\s))`)

// checkSQL keeps SQL in .sql files, where a person can read and run it.
func checkSQL(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if !f.production() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok {
				return true
			}
			if s, ok := stringLiteral(lit); ok && sqlStart.MatchString(s) {
				rep.add(f.path, f.line(lit.Pos()), "SQL in Go (%.30q); move it into a .sql file", strings.TrimSpace(s))
			}
			return true
		})
	}
}
