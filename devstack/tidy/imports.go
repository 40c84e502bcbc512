package tidy

import (
	"slices"
	"strconv"
	"strings"
)

// checkImports holds every import to the edges and the bans.
func checkImports(t *tree, rep *report) {
	for _, f := range t.goFiles {
		for _, spec := range f.ast.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser has accepted it, so this cannot be
			}
			line := f.line(spec.Pos())
			if target, ok := strings.CutPrefix(p, modulePrefix); ok {
				checkEdge(f, target, line, rep)
			}
			checkBans(f, p, line, rep)
		}
	}
}

// checkEdge holds one import within the repository to the edges.
func checkEdge(f *goFile, target string, line int, rep *report) {
	for _, e := range edges() {
		self, ok := e.holds(f.dir)
		if !ok {
			continue
		}
		for _, may := range e.may {
			if may == "." {
				may = self
			}
			if in(target, may) {
				if f.production() && testSupport(target) {
					rep.add(f.path, line, "imports %s, which is for tests", target)
				}
				return
			}
		}
		rep.add(f.path, line, "%s may not import %s", self, target)
		return
	}
	rep.add(f.path, line, "no edge says what %s may import; edges.go is the table", f.dir)
}

// holds says whether dir lies in the tree of e, and which directory that is:
// the tree itself or the one that "*" matched.
func (e edge) holds(dir string) (self string, ok bool) {
	parent, star := strings.CutSuffix(e.from, "/*")
	if !star {
		return e.from, in(dir, e.from)
	}
	rest, ok := strings.CutPrefix(dir, parent+"/")
	if !ok {
		return "", false
	}
	first, _, _ := strings.Cut(rest, "/")
	return parent + "/" + first, true
}

// checkBans holds one import to the bans.
func checkBans(f *goFile, p string, line int, rep *report) {
	for _, b := range bans() {
		switch {
		case !in(p, b.path):
		case !b.tests && !f.production():
		case b.below != "" && !in(f.dir, b.below):
		case slices.ContainsFunc(b.except, func(tree string) bool { return in(f.dir, tree) }):
		default:
			rep.add(f.path, line, "imports %s: %s", p, b.why)
		}
	}
}
