package tidy

import "strings"

// checkDocs asks for a comment in every package, those of tests included.
func checkDocs(t *tree, rep *report) {
	documented := map[string]bool{}
	first := map[string]*goFile{}
	for _, f := range t.goFiles {
		pkg := f.dir + " " + strings.TrimSuffix(f.ast.Name.Name, "_test")
		if first[pkg] == nil {
			first[pkg] = f
		}
		documented[pkg] = documented[pkg] || f.ast.Doc != nil
	}
	for pkg, f := range first {
		if !documented[pkg] {
			rep.add(f.path, f.line(f.ast.Package), "package %s has no comment; say its purpose, its guarantee, what it does not do", f.ast.Name.Name)
		}
	}
}
