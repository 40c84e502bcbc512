package tidy

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// textBytesMax bounds the files whose words are checked. Text that people write
// here stays far below; what is larger is data.
const textBytesMax = 1 << 20

// tree is the repository as read from disk, once, for all rules.
type tree struct {
	root    string
	entries []fs.DirEntry // of the root
	paths   []string      // every file, relative, with slashes
	goFiles []*goFile
	texts   []textFile
	fset    *token.FileSet
}

// textFile is one file of words: code, prose, configuration, SQL.
type textFile struct {
	path  string
	lines []string
}

// goFile is one parsed Go file.
type goFile struct {
	path      string
	dir       string // of path; "." never occurs, the root holds no Go
	test      bool   // _test.go
	generated bool
	fset      *token.FileSet
	ast       *ast.File
	imports   map[string]string // name in the file -> import path
}

// line is the line of a position in f.
func (f *goFile) line(pos token.Pos) int { return f.fset.Position(pos).Line }

// load reads the tree at root. Directories that hold no source of this project
// (hidden ones but .ci, testdata, build output, strays) are left out.
func load(root string) (*tree, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list root: %w", err)
	}
	t := &tree{root: root, entries: entries, fset: token.NewFileSet()}
	err = filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file, deleted since the listing
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, full)
		if err != nil {
			return fmt.Errorf("relate %q: %w", full, err)
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && skipDir(rel):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		t.paths = append(t.paths, rel)
		return t.readFile(rel, d)
	})
	return t, err
}

// skipDir says whether the walk stays out of a directory.
func skipDir(rel string) bool {
	base := path.Base(rel)
	switch {
	case rel == "." || rel == ".ci":
		return false
	case rel == "bin" || base == "testdata" || base == "node_modules":
		return true
	case rel == base && !slices.Contains(rootEntries(), rel):
		return true // rule 1 reports it; it may be a data directory
	}
	return strings.HasPrefix(base, ".")
}

// readFile takes one file into the tree.
func (t *tree) readFile(rel string, d fs.DirEntry) error {
	switch base := path.Base(rel); {
	case base == ".env", base == ".git", base == "LICENSE", strings.HasSuffix(base, ".sum"):
		return nil // secrets and paths of one machine, and words that are not ours
	}
	info, err := d.Info()
	if err == nil && info.Size() > textBytesMax {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(rel)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone as well
	}
	if err != nil {
		return fmt.Errorf("read %q: %w", rel, err)
	}
	if bytes.IndexByte(content, 0) >= 0 {
		return nil
	}
	t.texts = append(t.texts, textFile{path: rel, lines: strings.Split(string(content), "\n")})
	if strings.HasSuffix(rel, ".go") {
		t.parseGo(rel, content)
	}
	return nil
}

// parseGo adds one Go file; the compiler speaks of what does not parse.
func (t *tree) parseGo(rel string, content []byte) {
	parsed, err := parser.ParseFile(t.fset, rel, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return
	}
	f := &goFile{
		path:      rel,
		dir:       path.Dir(rel),
		test:      strings.HasSuffix(rel, "_test.go"),
		generated: ast.IsGenerated(parsed),
		fset:      t.fset,
		ast:       parsed,
		imports:   map[string]string{},
	}
	for _, spec := range parsed.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it, so this cannot be
		}
		name := importName(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		f.imports[name] = p
	}
	t.goFiles = append(t.goFiles, f)
}

// importName guesses the name of a package from its path: the last element, or
// the one before a major version.
func importName(p string) string {
	base := path.Base(p)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(p))
	}
	return strings.TrimPrefix(base, "go-")
}

// in says whether a directory or file is in the tree below prefix.
func in(p, prefix string) bool {
	return p == prefix || strings.HasPrefix(p, prefix+"/")
}

// testSupport says whether a directory holds code for tests only: one whose
// name, or that of a folder above it, ends in "test" (kafkatest, devstack/test).
func testSupport(dir string) bool {
	for element := range strings.SplitSeq(dir, "/") {
		if strings.HasSuffix(element, "test") {
			return true
		}
	}
	return false
}

// production says whether f becomes part of a program, not only of tests.
func (f *goFile) production() bool { return !f.test && !testSupport(f.dir) }

// packageOf resolves an identifier that names an imported package; "" if not.
func (f *goFile) packageOf(x ast.Expr) string {
	if id, ok := x.(*ast.Ident); ok {
		return f.imports[id.Name]
	}
	return ""
}

// selected splits `pkg.Name` into the import path and the name; both are empty
// when e is something else.
func (f *goFile) selected(e ast.Expr) (pkg, name string) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	if pkg = f.packageOf(sel.X); pkg == "" {
		return "", ""
	}
	return pkg, sel.Sel.Name
}

// stringLiteral is the value of a plain string literal.
func stringLiteral(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}
