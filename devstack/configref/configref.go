// Package configref reads what the fields of the configuration say of themselves
// in their comments: what they are for, their default and their range. It writes
// docs/configuration.md of it, and its tests hold every comment against the code.
package configref

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/mailstream/mailstream/services/pipeline"
)

// modulePrefix starts the import path of every package of the repository.
const modulePrefix = "github.com/mailstream/mailstream/"

// Entry is one setting with what its comment says.
type Entry struct {
	pipeline.Setting
	// Comment is the whole comment, on one line, with the names of the file
	// instead of those of the code.
	Comment string
	// Default is the text after "Default", "" where there is none.
	Default string
	// Required is true where there is no default and the value must be given.
	Required bool
	// Range is the text after "Range", nil where there is none.
	Range *Range
}

// Range is an interval; a bound may be the name of another field.
type Range struct {
	Low, High         string
	Or                string // one value outside of it that is taken too, "" for none
	LowOpen, HighOpen bool   // the bound itself is outside
}

// Read returns the settings of cfg with their comments. Root is the top of the
// repository.
func Read(root string, cfg pipeline.Config) ([]Entry, error) {
	r := reader{root: root, packages: map[string]comments{}}
	var all []Entry
	for _, s := range cfg.Settings() {
		text, err := r.comment(s)
		if err != nil {
			return nil, err
		}
		all = append(all, entry(s, text))
	}
	return all, nil
}

var (
	defaultForm  = regexp.MustCompile(`\bDefault ("[^"]*"|\[[^\]]*\]|[^\s.,:;]+(?:[.:,][^\s.,:;]+)*)(?: \([^)]*\))?[.:;]`)
	requiredForm = regexp.MustCompile(`\bRequired\b`)
	variousForm  = regexp.MustCompile(`\bDefault (by (?:service|provider|reason))\b`)
	rangeForm    = regexp.MustCompile(`\bRange ([\[(])([^,\])]+), ([^\])]+)([\])])(?: or ([^\s.]+))?`)
)

func entry(s pipeline.Setting, text string) Entry {
	e := Entry{Setting: s, Comment: text, Required: requiredForm.MatchString(text)}
	if m := defaultForm.FindStringSubmatch(text); m != nil {
		e.Default = m[1]
	}
	if m := variousForm.FindStringSubmatch(text); m != nil {
		e.Default = m[1]
	}
	if m := rangeForm.FindStringSubmatch(text); m != nil {
		e.Range = &Range{Low: m[2], High: m[3], LowOpen: m[1] == "(", HighOpen: m[4] == ")", Or: m[5]}
	}
	return e
}

// comments are those of a package's struct fields, by "Struct.Field".
type comments map[string]string

type reader struct {
	root     string
	packages map[string]comments
}

func (r reader) comment(s pipeline.Setting) (string, error) {
	known, ok := r.packages[s.Package]
	if !ok {
		var err error
		dir := filepath.Join(r.root, filepath.FromSlash(strings.TrimPrefix(s.Package, modulePrefix)))
		if known, err = readPackage(dir); err != nil {
			return "", err
		}
		r.packages[s.Package] = known
	}
	text, ok := known[s.Struct+"."+s.Field]
	if !ok {
		return "", fmt.Errorf("read comment of %s: package %s has no field %s.%s", s.Path, s.Package, s.Struct, s.Field)
	}
	return text, nil
}

func readPackage(dir string) (comments, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("read package: %w", err)
	}
	found := comments{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read package: %w", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				found.add(spec.Name.Name, st)
			}
			return true
		})
	}
	return found, nil
}

func (c comments) add(name string, st *ast.StructType) {
	names := map[string]string{}
	for _, f := range st.Fields.List {
		for _, ident := range f.Names {
			names[ident.Name] = tagOf(f)
		}
	}
	for _, f := range st.Fields.List {
		text := strings.Join(strings.Fields(f.Doc.Text()), " ")
		for _, ident := range f.Names {
			c[name+"."+ident.Name] = inFileWords(text, ident.Name, names)
		}
	}
}

// inFileWords replaces the names of fields in a comment, which are Go's, by those
// that a reader of the file knows. A name that is an ordinary word is left alone
// but at the start.
func inFileWords(text, own string, names map[string]string) string {
	for goName, fileName := range names {
		form := `\b` + goName + `\b`
		if goName == own {
			form = `^` + form
		} else if !inner.MatchString(goName) {
			continue
		}
		if fileName != "" {
			text = regexp.MustCompile(form).ReplaceAllString(text, "`"+fileName+"`")
		}
	}
	return text
}

// inner is a capital that makes a name no word of English.
var inner = regexp.MustCompile(`[a-z][A-Z]`)

// tagOf returns the name of a field in the file.
func tagOf(f *ast.Field) string {
	if f.Tag == nil {
		return ""
	}
	tag, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml"), ",")
	return strings.TrimPrefix(tag, "-")
}
