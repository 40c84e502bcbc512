package config

import (
	"fmt"
	"strings"
)

// Problems collects faults. The zero value is ready; children share its list.
type Problems struct {
	prefix   string
	findings *findings
}

// At returns a collector whose fields are below the field name.
func (p *Problems) At(name string) *Problems {
	p.init()
	return &Problems{prefix: join(p.prefix, name), findings: p.findings}
}

// Check notes a fault of field, formatted as for fmt.Sprintf, unless ok. Of one
// field the first fault counts: the others mostly follow from it.
func (p *Problems) Check(ok bool, field, format string, args ...any) {
	if ok {
		return
	}
	p.init()
	path := join(p.prefix, field)
	if p.findings.spoilt(path) {
		return
	}
	p.findings.add(path, p.findings.origin(path), fmt.Sprintf(format, args...))
}

// Written says whether the value of field was given, in the file or by its
// variable, and is not a default.
func (p *Problems) Written(field string) bool {
	p.init()
	_, ok := p.findings.origins[join(p.prefix, field)]
	return ok
}

// Err returns one error with a line a fault, nil when there is none.
func (p *Problems) Err() error {
	if p.findings == nil || len(p.findings.list) == 0 {
		return nil
	}
	return &InvalidError{Faults: p.findings.list}
}

func (p *Problems) init() {
	if p.findings == nil {
		p.findings = &findings{}
	}
}

// findings are the faults of one configuration and where its values came from.
type findings struct {
	list     []string
	reported map[string]bool // paths with a fault
	// unread are paths whose value could not be read: a rule that then fails on
	// the default value is not reported as another fault.
	unread []string
	// origins are the places of values, FILE:LINE:COLUMN or a variable, by path.
	origins map[string]string
}

// add notes one fault of path, unless it has one.
func (f *findings) add(path, origin, message string) {
	if f.reported == nil {
		f.reported = map[string]bool{}
	}
	if f.reported[path] {
		return
	}
	f.reported[path] = true
	line := join(path, "")
	if line != "" {
		line += ": "
	}
	if origin != "" {
		line = origin + ": " + line
	}
	f.list = append(f.list, line+message)
}

// unreadable notes that the value of path could not be read.
func (f *findings) unreadable(path, origin, format string, args ...any) {
	f.unread = append(f.unread, path)
	f.add(path, origin, fmt.Sprintf(format, args...))
}

// spoilt says whether a value at path, above or right below it was unreadable.
func (f *findings) spoilt(path string) bool {
	for _, bad := range f.unread {
		if bad == path || below(path, bad) || parent(bad) == path {
			return true
		}
	}
	return false
}

// from notes the source of the value of path.
func (f *findings) from(path, origin string) {
	if f.origins == nil {
		f.origins = map[string]string{}
	}
	f.origins[path] = origin
}

// forget drops the places of everything below path.
func (f *findings) forget(path string) {
	for known := range f.origins {
		if below(known, path) {
			delete(f.origins, known)
		}
	}
}

// origin returns the source of path, or of the nearest value above it.
func (f *findings) origin(path string) string {
	for ; path != ""; path = parent(path) {
		if at, ok := f.origins[path]; ok {
			return at
		}
	}
	return ""
}

// below says whether path is a part of the value at above.
func below(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[' || above == "")
}

// parent returns the path of the value that path is a part of.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// InvalidError lists the faults of a configuration, each "place: field: what".
type InvalidError struct {
	Faults []string
}

// Error returns all faults, a line each.
func (e *InvalidError) Error() string {
	noun := "faults"
	if len(e.Faults) == 1 {
		noun = "fault"
	}
	return fmt.Sprintf("configuration has %d %s:\n  %s", len(e.Faults), noun, strings.Join(e.Faults, "\n  "))
}
