package page

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const documentFile = "../../../../docs/api/console.yaml"

// node is a part of the document.
type node map[string]any

func (n node) at(name string) node {
	found, _ := n[name].(map[string]any)
	return found
}

func (n node) texts(name string) (list []string) {
	all, _ := n[name].([]any)
	for _, one := range all {
		if text, ok := one.(string); ok {
			list = append(list, text)
		}
	}
	return list
}

// document is docs/api/console.yaml.
type document struct {
	t    *testing.T
	root node
}

func readDocument(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	return document{t, root}
}

// follow returns what a reference within the document leads to, and whether it leads to a
// schema of the contract instead.
func (d document) follow(n node) (found node, contract bool) {
	ref, ok := n["$ref"].(string)
	if !ok {
		return n, false
	}
	place, inside := strings.CutPrefix(ref, "#/")
	if !inside {
		return n, true
	}
	found = d.root
	for part := range strings.SplitSeq(place, "/") {
		found = found.at(part)
	}
	if found == nil {
		d.t.Fatalf("the document has nothing at %s", ref)
	}
	return d.follow(found)
}

// described is a pattern of a route as the document has it.
func described(pattern string) (method, where string) {
	method, where, _ = strings.Cut(strings.ReplaceAll(pattern, "{$}", ""), " ")
	if where == "/static/" {
		where += "{file}"
	}
	return strings.ToLower(method), where
}

// TestDocument_HasEveryRoute holds paths, methods, roles and fields of the document to
// those of the code, either way.
func TestDocument_HasEveryRoute(t *testing.T) {
	t.Parallel()
	d, site := readDocument(t), &Site{}
	known := map[string]bool{"get /healthz": true, "get /readyz": true} // of every service
	for pattern := range site.unguarded(nil) {
		method, where := described(pattern)
		known[method+" "+where] = true
		if open, ok := d.root.at("paths").at(where).at(method)["security"].([]any); !ok || len(open) > 0 {
			t.Errorf("%s needs no role, the document says %v", pattern, open)
		}
	}
	for pattern, r := range site.routes() {
		method, where := described(pattern)
		known[method+" "+where] = true
		op := d.root.at("paths").at(where).at(method)
		if op == nil {
			t.Errorf("%s is not in the document", pattern)
			continue
		}
		ways, _ := op["security"].([]any)
		if len(ways) != len(d.root.at("components").at("securitySchemes")) {
			t.Errorf("%s: there are %d ways to sign in", pattern, len(ways))
		}
		for _, way := range ways {
			for name := range way.(map[string]any) {
				if roles := node(way.(map[string]any)).texts(name); !slices.Equal(roles, []string{r.needs.String()}) {
					t.Errorf("%s needs %s, the document says %v", pattern, r.needs, roles)
				}
			}
		}
		d.takes(pattern, op, r.takes)
	}
	for where, item := range d.root.at("paths") {
		for method := range item.(map[string]any) {
			if method != "parameters" && !known[method+" "+where] {
				t.Errorf("the document has %s %s, the console has not", method, where)
			}
		}
	}
}

// takes holds the fields of a form to those of the document.
func (d document) takes(pattern string, op node, fields []string) {
	d.t.Helper()
	body, _ := d.follow(op.at("requestBody"))
	if (len(body) == 0) != (len(fields) == 0) {
		d.t.Errorf("%s takes %v, the document has a body: %t", pattern, fields, len(body) > 0)
	}
	for media, content := range body.at("content") {
		schema, _ := d.follow(node(content.(map[string]any)).at("schema"))
		got := slices.Sorted(maps.Keys(schema.at("properties")))
		want := slices.Sorted(slices.Values(fields))
		if !slices.Equal(got, want) || schema["additionalProperties"] != false {
			d.t.Errorf("%s takes %v, the document says %v as %s", pattern, want, got, media)
		}
	}
}

// twins are what the pages show, by route.
func twins() map[string]any {
	return map[string]any{
		"GET /{$}": overviewData{}, "GET /sources/{name}": sourceData{}, "GET /deliverability": deliverabilityData{}, "GET /incidents": incidentsData{},
		"GET /incidents/{id}": incidentData{}, "GET /search": searchData{}, "GET /people/{hash}": personData{}, "GET /messages/{source}/{id}": personData{},
		"GET /suppressions": suppressionsData{}, "GET /dead-letters": lettersData{}, "GET /rules": rulesData{}, "GET /audit": auditData{},
	}
}

// TestDocument_HasEveryMember holds the schemas to the types that are written, member by
// member: names, kinds, whether one is always there and whether it may be null. A list is
// never null.
func TestDocument_HasEveryMember(t *testing.T) {
	t.Parallel()
	d, shown := readDocument(t), twins()
	for pattern := range (&Site{}).routes() {
		method, where := described(pattern)
		content := d.root.at("paths").at(where).at(method).at("responses").at("200").at("content")
		if method != "get" || content.at("application/json") == nil {
			if shown[pattern] != nil {
				t.Errorf("%s has no twin in the document", pattern)
			}
			continue
		}
		outer, _ := d.follow(content.at("application/json").at("schema"))
		inner, _ := d.follow(outer.at("properties").at("data"))
		if shown[pattern] == nil || inner == nil {
			t.Errorf("%s: what it shows is not known here, or not to the document", pattern)
			continue
		}
		d.compare(pattern, inner, reflect.TypeOf(shown[pattern]))
		d.envelope(pattern, outer)
	}
	for _, name := range []string{"Done", "Begun"} {
		schema := d.root.at("components").at("schemas").at(name)
		d.envelope(name, schema)
		if !slices.Contains(schema.texts("required"), "go_to") {
			t.Errorf("%s leads nowhere", name)
		}
	}
}

// envelope holds what is around the data to its type.
func (d document) envelope(where string, schema node) {
	d.t.Helper()
	known := membersOf(reflect.TypeFor[envelope]())
	for name, property := range schema.at("properties") {
		m, ok := known[name]
		if !ok || schema["additionalProperties"] != false {
			d.t.Errorf("%s: %s is not around a page", where, name)
			continue
		}
		if name != "data" {
			d.compare(where+"."+name, property.(map[string]any), m.of)
		}
	}
}

// member is a field as JSON has it.
type member struct {
	of       reflect.Type
	optional bool // not there where it has no value
}

// membersOf returns the members of a struct, those of embedded ones too.
func membersOf(of reflect.Type) map[string]member {
	all := map[string]member{}
	var own []reflect.StructField
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			maps.Copy(all, membersOf(f.Type))
		} else if f.IsExported() && name != "-" {
			own = append(own, f)
		}
	}
	for _, f := range own { // they hide those of embedded ones
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all[name] = member{f.Type, strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")}
	}
	return all
}

// compare holds a schema to a type.
func (d document) compare(where string, schema node, of reflect.Type) {
	d.t.Helper()
	schema, contract := d.follow(schema)
	if contract {
		if of.PkgPath() != reflect.TypeFor[schemas.Alert]().PkgPath() {
			d.t.Errorf("%s: the document has a schema of the contract for %s", where, of)
		}
		return
	}
	switch {
	case of.Kind() == reflect.Pointer:
		d.compare(where, schema, of.Elem())
	case of == reflect.TypeFor[time.Time]():
		if !isOf(schema, "string") || schema["format"] != "date-time" {
			d.t.Errorf("%s is a time, the document says %v", where, schema)
		}
	case of == reflect.TypeFor[Rate]():
		d.object(where, schema, map[string]member{"part": {reflect.TypeFor[uint64](), false}, "n": {reflect.TypeFor[uint64](), false}, "rate": {reflect.TypeFor[float64](), false}})
	case of.Kind() == reflect.Struct:
		d.object(where, schema, membersOf(of))
	case of.Kind() == reflect.Slice:
		if !isOf(schema, "array") {
			d.t.Errorf("%s is a list, the document says %v", where, schema)
		}
		d.compare(where+"[]", schema.at("items"), of.Elem())
	case of.Kind() == reflect.Map:
		d.mapping(where, schema, of)
	default:
		d.scalar(where, schema, of.Kind())
	}
}

func (d document) object(where string, schema node, members map[string]member) {
	d.t.Helper()
	if schema["additionalProperties"] != false {
		d.t.Errorf("%s: the document lets members in that it does not name", where)
	}
	var required []string
	for name, m := range members {
		property := schema.at("properties").at(name)
		if property == nil {
			d.t.Errorf("%s.%s is not in the document", where, name)
			continue
		}
		if !m.optional {
			required = append(required, name)
			if null := maybeNull(m.of); null != isOf(property, "null") {
				d.t.Errorf("%s.%s may be null: %t, the document says otherwise", where, name, null)
			}
		}
		d.compare(where+"."+name, property, m.of)
	}
	for name := range schema.at("properties") {
		if _, ok := members[name]; !ok {
			d.t.Errorf("%s.%s is in the document alone", where, name)
		}
	}
	slices.Sort(required)
	if said := slices.Sorted(slices.Values(schema.texts("required"))); !slices.Equal(said, required) {
		d.t.Errorf("%s: always there are %v, the document says %v", where, required, said)
	}
}

// filled are lists and mappings that have a value in all that is shown: what makes them
// makes them whole.
func filled() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[Spark](), reflect.TypeFor[[]*float64](), reflect.TypeFor[[]string](), reflect.TypeFor[[]schemas.AlertMatcher](),
		reflect.TypeFor[map[string]Rate](), reflect.TypeFor[map[string]int64](), reflect.TypeFor[map[string]string](),
	}
}

// maybeNull says whether JSON may have null for a value of a type.
func maybeNull(of reflect.Type) bool {
	text, err := json.Marshal(reflect.Zero(of).Interface())
	return err == nil && string(text) == "null" && !slices.Contains(filled(), of)
}

func (d document) mapping(where string, schema node, of reflect.Type) {
	d.t.Helper()
	if !isOf(schema, "object") {
		d.t.Errorf("%s is a mapping, the document says %v", where, schema)
	}
	for name := range schema.at("properties") {
		d.compare(where+"."+name, schema.at("properties").at(name), of.Elem())
	}
	if schema.at("properties") == nil {
		d.compare(where+".*", schema.at("additionalProperties"), of.Elem())
	}
}

func (d document) scalar(where string, schema node, kind reflect.Kind) {
	d.t.Helper()
	ok := false
	switch kind {
	case reflect.String:
		ok = isOf(schema, "string") || len(schema.texts("enum")) > 0
	case reflect.Bool:
		ok = isOf(schema, "boolean")
	case reflect.Float64:
		ok = isOf(schema, "number")
	case reflect.Uint16, reflect.Uint64:
		ok = isOf(schema, "integer") && schema["minimum"] != nil
	case reflect.Int, reflect.Int64:
		ok = isOf(schema, "integer")
	}
	if !ok {
		d.t.Errorf("%s is a %s, the document says %v", where, kind, schema)
	}
}

// isOf says whether a schema is of a type, or of several with it.
func isOf(schema node, name string) bool {
	return schema["type"] == name || slices.Contains(schema.texts("type"), name)
}

// guide is docs/console.md.
func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// placed is an address of the guide with the role it needs: (`/audit`, `admin`).
var placed = regexp.MustCompile("\\(`(/[^`]*)`, `([a-z]+)`\\)")

// TestGuide_HasEveryPageAndItsRole holds the list of pages to the routes.
func TestGuide_HasEveryPageAndItsRole(t *testing.T) {
	t.Parallel()
	said := map[string]string{}
	for _, m := range placed.FindAllStringSubmatch(guide(t), -1) {
		said[m[1]] = m[2]
	}
	for pattern, r := range (&Site{}).routes() {
		method, where := described(pattern)
		if method != "get" {
			continue
		}
		if said[where] != r.needs.String() {
			t.Errorf("%s needs %s, the guide says %q", where, r.needs, said[where])
		}
		delete(said, where)
	}
	if len(said) > 0 {
		t.Errorf("the guide has %v, the console has not", said)
	}
}

// TestGuide_HasTheLimits holds the table of limits to the code.
func TestGuide_HasTheLimits(t *testing.T) {
	t.Parallel()
	text := guide(t)
	lasts := config.FormatDuration
	for _, row := range [][2]string{
		{"rows of a breakdown", thousands(history.ValuesMax)},
		{"events of a person or message", thousands(history.EventsMax)},
		{"kinds of dead letters", thousands(history.LettersMax)},
		{"operations on dead letters", thousands(operationsShown)},
		{"replies, values that changed, refusals of an incident", fmt.Sprintf("%d, %d, %d", history.RepliesMax, history.CarriersMax, history.RefusedMax)},
		{"time around an incident that is read", lasts(aroundMax)},
		{"readings of rules", thousands(readingsShown)},
		{"entries of the audit", thousands(history.AuditMax)},
		{"entries of a page of the suppression list", thousands(entriesShown)},
		{"a time of deliverability, and how far back it goes", count(int(keptMax/day), "day")},
		{"a note or comment", count(textBytesMax, "byte")},
		{"a form or file", byteSize(bodyBytesMax)},
		{"a silence", count(int(silenceMax/day), "day")},
		{"a back-test", fmt.Sprintf("%s of mail, %s, one at a time", count(int(backtestSpan/day), "day"), lasts(backtestTimeMax))},
	} {
		if line := fmt.Sprintf("\n| %s | %s |\n", row[0], row[1]); !strings.Contains(text, line) {
			t.Errorf("the guide has no line %q", line)
		}
	}
	if !strings.Contains(text, fmt.Sprintf("A rate of fewer than %d is grey", fewMax)) || !strings.Contains(text, "from "+strings.TrimSuffix(lasts(asOfMin), "s")+" s on") {
		t.Error("the guide says something else of rates of few, or of the age of numbers")
	}
	for _, every := range []string{"every 20 s", "every 2 s"} {
		templates, err := fs.Glob(templateFiles, "templates/*.html")
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(templates, func(name string) bool {
			text, err := templateFiles.ReadFile(name)
			return err == nil && strings.Contains(string(text), `hx-trigger="`+strings.Replace(every, " s", "s", 1)+`"`)
		})
		if !found || !strings.Contains(text, every) {
			t.Errorf("%s: of a page %t, of the guide %t", every, found, strings.Contains(text, every))
		}
	}
}
