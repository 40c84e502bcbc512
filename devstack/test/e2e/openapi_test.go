package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// apiFolder holds a document a service, named as the service.
const apiFolder = "../../../docs/api"

// described are the services with a document.
var described = []pipeline.Name{pipeline.Ingress, pipeline.Analytics, pipeline.Suppression, pipeline.Alerting, pipeline.Console}

// tried is a request that a document gives as an example.
type tried struct {
	Path, Query, Token, Basic string // a Token of noToken sends none
	Accept                    string // asJSON where it is not said
	Body                      any
	Status                    int
}

const (
	noToken = "none"
	asJSON  = "application/json"
	asPage  = "text/html"
	asForm  = "application/x-www-form-urlencoded"
)

// target is where an example goes, and what its body is.
type target struct{ method, path, media string }

// document is an OpenAPI document as plain JSON.
type document struct {
	service pipeline.Name
	base    string // the URL of the service
	token   string // lets every example in that has none of its own
	root    map[string]any
	schemas *jsonschema.Compiler
	url     string
	judge   *contract
	words   *strings.Replacer // what cannot stand in a document, by its stand-in
}

func readDocument(t *testing.T, service pipeline.Name) *document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(apiFolder, string(service)+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var loose any
	if err := yaml.Unmarshal(text, &loose); err != nil {
		t.Fatalf("%s: %v", service, err)
	}
	asJSON, err := json.Marshal(loose)
	if err != nil {
		t.Fatal(err)
	}
	d := &document{service: service, judge: newContract(t, service), url: "file:///docs/api/" + string(service) + ".yaml", schemas: jsonschema.NewCompiler()}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	d.root = resource.(map[string]any)
	if err := d.schemas.AddResource(d.url, resource); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alert.schema.json", "alert-control.schema.json", "operation.schema.json"} {
		text, err := os.ReadFile("../../../schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.schemas.AddResource("file:///schemas/"+name, schema); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// learn finds what cannot stand in the document: a token of a record that is not
// written yet, a body beyond the limit, an incident, a silence, a time to come.
func (d *document) learn(t *testing.T, w *world) {
	t.Helper()
	d.base, d.token = w.stack.URL(d.service), "dev"
	now := time.Now().UTC()
	words := []string{"LONG", strings.Repeat("x", 20<<10), "IN_AN_HOUR", now.Add(time.Hour).Format(time.RFC3339), "A_DAY_AGO", now.Add(-24 * time.Hour).Format(time.RFC3339)}
	switch d.service {
	case pipeline.Analytics:
		words = append(words, d.letter(t, w)...)
	case pipeline.Suppression:
		words = append(words, "MIN_TOKEN_AHEAD", d.ahead(w))
	case pipeline.Alerting:
		words = append(words, d.incident(t, w, words[3])...)
	case pipeline.Console:
		d.base, d.token = guarded(t, w), tokenOf("an-admin")
		words = append(words, d.incident(t, w, words[3])...)
		words = append(words, d.letter(t, w)...)
		words = append(words, d.people(t, w)...)
	}
	d.words = strings.NewReplacer(words...)
}

// incident makes an incident and a silence.
func (d *document) incident(t *testing.T, w *world, until string) []string {
	t.Helper()
	alerting := w.stack.URL(pipeline.Alerting)
	w.post(http.StatusOK, mail{"described.example", 30, 0, time.Now()}.request(t))
	servicetest.EventuallyOr(t, func() bool { return w.alerts()["recipient_domain=described.example"] == "firing" }, func() string { return "no alert" })
	_, text := w.call(http.MethodGet, alerting+"/v1/alerts?label.recipient_domain=described.example", "", bearer)
	var answer struct{ Alerts []struct{ Incident string } }
	_ = json.Unmarshal([]byte(text), &answer) // without an incident the examples fail
	silence := `{"matchers":[{"label":"source","op":"=","value":"none"}],"until":"` + until + `","by":"ana","comment":"tried"}`
	_, text = w.call(http.MethodPost, alerting+"/v1/silences", silence, bearer)
	var added struct{ ID string }
	_ = json.Unmarshal([]byte(text), &added) // without a silence the examples fail
	return []string{"INCIDENT", answer.Alerts[0].Incident, "SILENCE", added.ID}
}

// letter makes a dead letter and an operation that has looked at it.
func (d *document) letter(t *testing.T, w *world) []string {
	t.Helper()
	w.call(http.MethodPost, w.stack.URL(pipeline.Ingress)+"/v1/webhooks/mailjet", "[17]", func(r *http.Request) { r.SetBasicAuth("dev", "dev") })
	var list struct{ Letters []struct{ ID string } }
	servicetest.Eventually(t, "the dead letter is in the list", func() bool {
		_, text := w.call(http.MethodGet, w.stack.URL(pipeline.Analytics)+"/v1/dead-letters", "", bearer)
		return json.Unmarshal([]byte(text), &list) == nil && len(list.Letters) > 0
	})
	var op struct{ ID string }
	servicetest.Eventually(t, "an operation is started", func() bool {
		_, text := w.call(http.MethodPost, w.stack.URL(pipeline.Analytics)+"/v1/dead-letters/redrive", `{"all":true,"by":"ana"}`, bearer)
		return json.Unmarshal([]byte(text), &op) == nil && op.ID != ""
	})
	return []string{"LETTER", list.Letters[0].ID, "OPERATION", op.ID, "HUGE", strings.Repeat("x", 70<<10)}
}

// find follows a JSON pointer, and the reference it may end at.
func (d *document) find(t *testing.T, pointer string) (map[string]any, string) {
	t.Helper()
	at := any(d.root)
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
		m, _ := at.(map[string]any)
		at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	found, ok := at.(map[string]any)
	if !ok {
		t.Fatalf("%s has nothing at %s", d.service, pointer)
	}
	if ref, ok := found["$ref"].(string); ok {
		return d.find(t, ref)
	}
	return found, pointer
}

// TestOpenAPI_IsWhatTheServicesAnswer runs every example of the documents against
// the services, wants statuses and bodies to be described, and every description
// to be one that is answered. Another validator has to be of the same mind about each
// request and answer, and what it finds wrong in a request, the service refuses.
func TestOpenAPI_IsWhatTheServicesAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, service := range described {
		d := readDocument(t, service)
		if d.root["openapi"] != "3.1.0" {
			t.Errorf("%s: openapi is %v", service, d.root["openapi"])
		}
		d.learn(t, w)
		for path, item := range d.root["paths"].(map[string]any) {
			for method := range item.(map[string]any) {
				if method != "parameters" {
					d.tryOperation(t, w, path, method)
				}
			}
			d.refusesOtherMethods(t, w, path, item.(map[string]any))
		}
		if service == pipeline.Console {
			d.guideRuns(t)
			d.holdsWithoutParts(t, w)
		}
		t.Logf("%s: %d requests that are not as described", service, d.judge.spoilt)
	}
}

// examples are the requests of an operation.
func (d *document) examples(t *testing.T, op map[string]any) (requests []tried) {
	t.Helper()
	text, err := json.Marshal(op["x-tried"])
	if err == nil {
		err = json.Unmarshal(text, &requests)
	}
	if err != nil {
		t.Fatalf("%s: %v: %v", d.service, op["summary"], err)
	}
	return requests
}

func (d *document) tryOperation(t *testing.T, w *world, path, method string) {
	t.Helper()
	at := "#/paths/" + strings.ReplaceAll(path, "/", "~1") + "/" + method
	op, _ := d.find(t, at)
	seen := map[string]bool{}
	for _, r := range d.examples(t, op) {
		to := target{strings.ToUpper(method), path, d.media(t, at, op, r)}
		got := d.send(t, w, to, r)
		for until := time.Now().Add(servicetest.Patience); got.status == http.StatusConflict && r.Status < http.StatusBadRequest && time.Now().Before(until); {
			got = d.send(t, w, to, r) // the operation of another example runs
		}
		what := fmt.Sprintf("%s: %s %s %+v", d.service, method, path, r)
		if got.status != r.Status {
			t.Errorf("%s: %d %s", what, got.status, got.body)
			continue
		}
		seen[fmt.Sprint(got.status)] = true
		if got.status == http.StatusOK {
			d.refusesWhatIsNotDescribed(t, w, to, r)
		}
		d.isDescribed(t, what, at, got)
	}
	for status := range op["responses"].(map[string]any) {
		response, _ := d.find(t, at+"/responses/"+status)
		if response["x-not-tried"] == nil && !seen[status] {
			t.Errorf("%s: %s %s: no example is answered %s", d.service, method, path, status)
		}
	}
}

// isDescribed holds an answer to its schema.
func (d *document) isDescribed(t *testing.T, what, at string, got answered) {
	t.Helper()
	response, where := d.find(t, fmt.Sprintf("%s/responses/%d", at, got.status))
	contents, _ := response["content"].(map[string]any) // none of an answer without a body
	content, known := contents[got.kind].(map[string]any)
	if len(contents) > 0 && !known {
		t.Errorf("%s: the answer is %q, which is not described", what, got.kind)
	}
	if _, has := content["schema"]; !has {
		return
	}
	schema := where + "/content/" + strings.ReplaceAll(got.kind, "/", "~1") + "/schema"
	for _, part := range parts(got.kind, got.body) {
		d.validate(t, what, schema, part)
	}
}

// media is what the body of an example is, of what the operation takes.
func (d *document) media(t *testing.T, at string, op map[string]any, r tried) string {
	t.Helper()
	if op["requestBody"] == nil {
		return ""
	}
	body, _ := d.find(t, at+"/requestBody")
	contents, _ := body["content"].(map[string]any)
	text, plain := r.Body.(string)
	switch kinds := slices.Sorted(maps.Keys(contents)); {
	case plain && strings.HasPrefix(text, "{") && contents[ndjson] != nil:
		return ndjson
	case r.Accept == asPage && contents[asForm] != nil:
		return asForm
	case kinds[0] == "*/*" || contents[asJSON] != nil:
		return asJSON
	default:
		return kinds[len(kinds)-1] // CSV before JSON Lines, a form before one in parts
	}
}

func (d *document) send(t *testing.T, w *world, to target, r tried) answered {
	t.Helper()
	return d.judge.exchange(t, d.request(t, w, to, r))
}

func (d *document) request(t *testing.T, w *world, to target, r tried) sent {
	t.Helper()
	path := to.path
	if r.Path != "" {
		path = d.words.Replace(r.Path)
	}
	url := d.base + path
	if r.Query != "" {
		url += "?" + d.words.Replace(r.Query)
	}
	body := ""
	switch b := r.Body.(type) {
	case nil:
	case string:
		body = b
	case map[string]any:
		to.media, body = encoded(t, to.media, b)
		body = d.words.Replace(body)
	}
	request, err := http.NewRequestWithContext(t.Context(), to.method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if to.media != "" {
		request.Header.Set("Content-Type", to.media)
	}
	request.Header.Set("Accept", cmp.Or(r.Accept, asJSON))
	user, password, basic := strings.Cut(r.Basic, ":")
	switch {
	case basic:
		request.SetBasicAuth(user, password)
	case r.Token != noToken:
		request.Header.Set("Authorization", "Bearer "+cmp.Or(r.Token, d.token))
	}
	return sent{request, body}
}

// refusesWhatIsNotDescribed spoils an example that is answered in every place, and wants
// the service to refuse what the document does.
func (d *document) refusesWhatIsNotDescribed(t *testing.T, w *world, to target, r tried) {
	t.Helper()
	for _, spoiled := range spoilt(r) {
		s := d.request(t, w, to, spoiled)
		if d.judge.refusesRequest(s) == "" {
			continue
		}
		got := d.judge.exchange(t, s)
		if d.judge.spoilt++; got.status/100 != 4 {
			t.Errorf("%s: %s %s %+v is not as described, and answered %d %s", d.service, to.method, to.path, spoiled, got.status, got.body)
		}
	}
}

// ahead returns a token that no replica has reached.
func (d *document) ahead(w *world) string {
	_, text := w.call(http.MethodPost, w.stack.URL(d.service)+"/v1/suppressions/check", `{"addresses":["ana@example.com"]}`, bearer)
	var answer struct{ Token string }
	_ = json.Unmarshal([]byte(text), &answer) // without a token the example fails
	before, _, _ := strings.Cut(answer.Token, "@")
	return before + "@999999999"
}

func (d *document) validate(t *testing.T, what, pointer, body string) {
	t.Helper()
	schema, err := d.schemas.Compile(d.url + pointer)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", what, err, body)
	}
}

// refusesOtherMethods wants what is not described not to be answered.
func (d *document) refusesOtherMethods(t *testing.T, w *world, path string, item map[string]any) {
	t.Helper()
	ours := strings.HasPrefix(path, "/v1/") || d.service == pipeline.Console && path != "/healthz" && path != "/readyz"
	if !ours || strings.Contains(path, "{") {
		return
	}
	for _, method := range []string{"get", "post", "put", "patch", "delete"} {
		status, _ := w.call(strings.ToUpper(method), d.base+path, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+d.token) })
		if described := item[method] != nil; described == (status == http.StatusMethodNotAllowed) {
			t.Errorf("%s: %s %s is described: %t, answered: %d", d.service, method, path, described, status)
		}
	}
}

// TestOpenAPI_HasEveryPathOfTheCode looks for paths in the source. Those of the console are
// held by a test beside them.
func TestOpenAPI_HasEveryPathOfTheCode(t *testing.T) {
	t.Parallel()
	literal := regexp.MustCompile(`"(?:[A-Z]+ )?(/v1/[a-z/{}-]+)`)
	for folder, service := range map[string]pipeline.Name{
		"ingress": pipeline.Ingress, "analytics": pipeline.Analytics, "deadletters": pipeline.Analytics, "suppression": pipeline.Suppression, "alerting": pipeline.Alerting,
	} {
		paths := readDocument(t, service).root["paths"].(map[string]any)
		err := filepath.WalkDir("../../../services/"+folder, func(file string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for _, found := range literal.FindAllStringSubmatch(string(text), -1) {
				path := found[1]
				if strings.HasSuffix(path, "/") {
					path += "{source}"
				}
				if paths[path] == nil {
					t.Errorf("%s has %s, docs/api/%s.yaml has not", file, path, service)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
