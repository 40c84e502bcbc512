package tidy

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

const (
	zapPath        = "go.uber.org/zap"
	prometheusPath = "github.com/prometheus/client_golang/prometheus"
	promautoPath   = prometheusPath + "/promauto"
)

// metricName is the form of every name a dashboard can see.
var metricName = regexp.MustCompile(`^mailstream_[a-z0-9]+(_[a-z0-9]+)+$`)

// checkMetrics keeps metrics out of package variables, so that two instances in
// one process do not share counters, and their names in form.
func checkMetrics(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if !f.production() {
			continue
		}
		for _, decl := range f.ast.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.VAR {
				f.checkMetricVars(gen, rep)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if n, ok := n.(*ast.CompositeLit); ok {
				f.checkMetricName(n, rep)
			}
			return true
		})
	}
}

// checkMetricVars looks for metrics made when the program loads.
func (f *goFile) checkMetricVars(gen *ast.GenDecl, rep *report) {
	ast.Inspect(gen, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if pkg, name := f.selected(call.Fun); (pkg == prometheusPath || pkg == promautoPath) && strings.HasPrefix(name, "New") {
			rep.add(f.path, f.line(call.Pos()), "a metric at package level; make it a field of a struct built from a prometheus.Registerer")
			return false
		}
		return true
	})
}

// checkMetricName holds literal names to the form mailstream_<service>_<noun>.
func (f *goFile) checkMetricName(lit *ast.CompositeLit, rep *report) {
	pkg, opts := f.selected(lit.Type)
	if pkg != prometheusPath || !strings.HasSuffix(opts, "Opts") {
		return
	}
	for _, element := range lit.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, ok := pair.Key.(*ast.Ident)
		if !ok {
			continue
		}
		if key.Name == "Namespace" || key.Name == "Subsystem" {
			rep.add(f.path, f.line(key.Pos()), "%s splits the metric's name; write it whole in Name, where grep finds it", key.Name)
		}
		name, ok := stringLiteral(pair.Value)
		if key.Name != "Name" || !ok {
			continue
		}
		if !metricName.MatchString(name) {
			rep.add(f.path, f.line(pair.Pos()), "metric %q is not mailstream_<service>_<noun>_<unit>", name)
		}
	}
}

// logLevels are the methods of a zap logger that write a line.
func logLevels() []string {
	return []string{"Debug", "Info", "Warn", "Error", "DPanic", "Panic", "Fatal"}
}

// loggerName matches the variables that hold loggers.
var loggerName = regexp.MustCompile(`(?i)^(log|logger|.*log|.*logger)$`)

// checkLogs keeps the words of log lines constant.
func checkLogs(t *tree, rep *report) {
	for _, f := range t.goFiles {
		if !f.production() || !in(f.dir, "services") {
			continue
		}
		for _, decl := range f.ast.Decls {
			f.checkLogCalls(decl, rep)
		}
	}
}

// checkLogCalls looks at every log line in one declaration.
func (f *goFile) checkLogCalls(decl ast.Decl, rep *report) {
	texts := f.constants()
	assignedTexts(decl, texts)
	ast.Inspect(decl, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		if slices.Contains(logLevels(), sel.Sel.Name) && f.isLogger(sel.X) {
			f.checkMessage(call, texts, rep)
		}
		return true
	})
}

// constants maps the file's constants, local ones included, to their text.
func (f *goFile) constants() map[string]string {
	values := map[string]string{}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		gen, ok := n.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			return true
		}
		for _, spec := range gen.Specs {
			value := spec.(*ast.ValueSpec) // a const declaration has no others
			for i, expr := range value.Values {
				if s, ok := stringLiteral(expr); ok {
					values[value.Names[i].Name] = s
				}
			}
		}
		return true
	})
	return values
}

// assignedTexts adds the variables of decl that are given nothing but literals,
// as in a switch that picks one of several messages. The text is the last one
// that breaks the form, or else the last.
func assignedTexts(decl ast.Decl, texts map[string]string) {
	varies := map[string]bool{}
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field: // a parameter brings any text
			for _, name := range n.Names {
				varies[name.Name] = true
			}
		case *ast.AssignStmt:
			for i, target := range n.Lhs {
				id, ok := target.(*ast.Ident)
				if !ok {
					continue
				}
				text, ok := "", false
				if len(n.Lhs) == len(n.Rhs) {
					text, ok = stringLiteral(n.Rhs[i])
				}
				varies[id.Name] = varies[id.Name] || !ok
				if have, seen := texts[id.Name]; !seen || plainMessage(have) {
					texts[id.Name] = text
				}
			}
		}
		return true
	})
	for name := range varies {
		if varies[name] {
			delete(texts, name)
		}
	}
}

// plainMessage says whether a message has the form: lower case, no full stop.
func plainMessage(message string) bool {
	return message == strings.ToLower(message) && !strings.HasSuffix(message, ".")
}

// isLogger guesses from the name whether x is a logger: log, s.logger,
// log.With(...), zap.L().
func (f *goFile) isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return f.imports[x.Name] == "" && loggerName.MatchString(x.Name)
	case *ast.SelectorExpr:
		return loggerName.MatchString(x.Sel.Name)
	case *ast.CallExpr:
		if pkg, name := f.selected(x.Fun); pkg == zapPath {
			return name == "L"
		}
		sel, ok := x.Fun.(*ast.SelectorExpr)
		return ok && (sel.Sel.Name == "With" || sel.Sel.Name == "Named") && f.isLogger(sel.X)
	}
	return false
}

// checkMessage looks at the words of one log line.
func (f *goFile) checkMessage(call *ast.CallExpr, constants map[string]string, rep *report) {
	line := f.line(call.Pos())
	message, ok := stringLiteral(call.Args[0])
	if id, isName := call.Args[0].(*ast.Ident); isName {
		message, ok = constants[id.Name]
	}
	switch {
	case !ok:
		rep.add(f.path, line, "the log message is no constant of this file; put what varies in fields")
	case !plainMessage(message):
		rep.add(f.path, line, "the log message %q is not lower case without a full stop", message)
	}
}
