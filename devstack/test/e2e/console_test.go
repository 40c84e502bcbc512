package e2e

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/devstack/test/consoletest"
	"github.com/mailstream/mailstream/services/pipeline"
)

// people are who uses the console of the examples; the password is "correct horse battery".
const people = `vera:viewer:` + consoletest.PasswordHash

func tokenOf(role string) string { return "token-of-" + role }

// guarded starts a console that wants a token or a password.
func guarded(t *testing.T, w *world, environ ...string) string {
	t.Helper()
	var tokens strings.Builder
	for role, name := range map[string]string{"viewer": "a-viewer", "support": "a-support", "operator": "an-operator", "admin": "an-admin"} {
		fmt.Fprintf(&tokens, "{name: %s, role: %s, token: %s}, ", role, role, tokenOf(name))
	}
	return consoletest.Start(t, w.stack, "tokens: ["+tokens.String()+"]", append(environ, "MAILSTREAM_CONSOLE_AUTH_USERS="+people)...)
}

// people puts addresses on the list and dead letters where they wait, and finds a person
// with a story, a message, and one whose id two sources know.
func (d *document) people(t *testing.T, w *world) []string {
	t.Helper()
	const known = "person-0@described.example"
	for _, address := range []string{known, "added@described.example", "lifted@described.example", "lifted2@described.example"} {
		status, text := w.call(http.MethodPut, w.stack.URL(pipeline.Suppression)+"/v1/suppressions", `{"address":"`+address+`","note":"tried"}`, bearer)
		if status != http.StatusOK {
			t.Fatalf("%s is not on the list: %d %s", address, status, text)
		}
	}
	w.wantSQL("SELECT count() > 0 FROM suppressions WHERE address = '"+known+"'", "1")
	w.wantSQL("SELECT count() >= 30 FROM events WHERE recipient_domain = 'described.example'", "1")
	of := func(address string) []string {
		return strings.Split(w.sql("SELECT recipient_hash, message_id FROM events WHERE recipient = '" + address + "' LIMIT 1")[0], "\t")
	}
	person, twice := of(known), of("person-1@described.example")
	w.sql("INSERT INTO event_log SELECT * REPLACE ('another' AS source, 'another-' || event_id AS event_id) FROM event_log WHERE message_id = '" + twice[1] + "' LIMIT 1")
	for i, reason := range []string{"of_no_use", "of_no_use_either"} {
		w.sql(fmt.Sprintf("INSERT INTO dead_letter_log (id, time, received_at, service, reason, detail, provider, source, bytes) VALUES ('%032x', now64(3), now64(3), 'ingress', '%s', 'tried', 'mailjet', 'mailjet', '{}')", i+1, reason))
	}
	return []string{"PERSON", person[0], "MESSAGE", person[1], "TWICE", twice[1]}
}

// encoded writes the body of an example.
func encoded(t *testing.T, media string, fields map[string]any) (contentType, body string) {
	t.Helper()
	text := func(value any) string {
		if said, ok := value.(string); ok {
			return said
		}
		return jsonOf(t, value)
	}
	switch media {
	case asForm:
		values := url.Values{}
		for name, value := range fields {
			values.Set(name, text(value))
		}
		return media, values.Encode()
	case "multipart/form-data":
		return inParts(t, fields, text)
	}
	return media, jsonOf(t, fields)
}

// inParts writes a form whose field file is one.
func inParts(t *testing.T, fields map[string]any, text func(any) string) (contentType, body string) {
	t.Helper()
	var out bytes.Buffer
	form := multipart.NewWriter(&out)
	for name, value := range fields {
		part, err := form.CreateFormField(name)
		if name == "file" {
			part, err = form.CreateFormFile(name, "list.csv")
		}
		if err == nil {
			_, err = part.Write([]byte(text(value)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), out.String()
}

// guideRuns runs the examples of docs/console.md as they are written there.
func (d *document) guideRuns(t *testing.T) {
	t.Helper()
	guide, err := os.ReadFile("../../../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	if len(examples) < 2 {
		t.Errorf("%d examples", len(examples))
	}
	for _, m := range examples {
		command := exec.CommandContext(t.Context(), "sh", "-euc", m[1])
		command.Env = append(os.Environ(), "CONSOLE_URL="+d.base, "CONSOLE_TOKEN="+d.token)
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"data":{`) || strings.Contains(string(out), `"notices"`) {
			t.Errorf("%v: %s\n%s", err, out, m[1])
		}
	}
}

// holdsWithoutParts asks for every page while ClickHouse is away, and while all services
// are: what is missing has a notice, and the twin is as described.
func (d *document) holdsWithoutParts(t *testing.T, w *world) {
	t.Helper()
	const nobody = "http://127.0.0.1:1"
	for name, environ := range map[string][]string{
		"ClickHouse": {"MAILSTREAM_CLICKHOUSE_URL=" + nobody},
		"services":   {"MAILSTREAM_CONSOLE_SUPPRESSION_URL=" + nobody, "MAILSTREAM_CONSOLE_ALERTING_URL=" + nobody, "MAILSTREAM_CONSOLE_ANALYTICS_URL=" + nobody, "MAILSTREAM_CONSOLE_INGRESS_METRICS_URL=" + nobody + "/metrics"},
	} {
		d.base = guarded(t, w, environ...)
		noticed := 0
		for path, item := range d.root["paths"].(map[string]any) {
			op, _ := item.(map[string]any)["get"].(map[string]any)
			at := "#/paths/" + strings.ReplaceAll(path, "/", "~1") + "/get"
			for _, r := range d.examples(t, op) {
				if r.Status != http.StatusOK {
					continue
				}
				got := d.send(t, w, target{http.MethodGet, path, ""}, r)
				if got.status != http.StatusOK && got.status != http.StatusServiceUnavailable {
					t.Errorf("without %s %s %+v is answered %d %s", name, path, r, got.status, got.body)
					continue
				}
				d.isDescribed(t, "without "+name+": "+path, at, got)
				if strings.Contains(got.body, `"notices":`) {
					noticed++
				}
			}
		}
		if noticed == 0 {
			t.Errorf("without %s nothing is missing on any page", name)
		}
	}
}
