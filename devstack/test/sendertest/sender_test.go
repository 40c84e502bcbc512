// Package sendertest asks a running suppression service as senders do: with the Go
// client, and with every example of docs/senders.md.
package sendertest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/client/suppressions"
	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	root  = "../../.."
	token = "a-token-of-the-sender-tests"
)

// service runs the suppression service on a broker of its own and returns its base URL.
func service(t *testing.T) string {
	t.Helper()
	b := broker.New(broker.Config{Listen: "127.0.0.1:0"}, zap.NewNop())
	servicetest.Start(t, b)
	text := fmt.Sprintf("kafka: {brokers: [%q]}\nprivacy: {pepper: a-pepper-of-the-sender-tests}\nstate: {dir: %q}\n"+
		"suppression: {listen: 127.0.0.1:0, metrics_listen: \"off\", tokens: [%s]}\n", b.Addr(), t.TempDir(), token)
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte(text), Name: "the test's", Services: []pipeline.Name{pipeline.Suppression}})
	if err != nil {
		t.Fatal(err)
	}
	if err := pipeline.ApplyTopics(t.Context(), cfg, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	s, err := pipeline.New(cfg, pipeline.Suppression, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	servicetest.Start(t, s)
	return "http://" + s.Addr()
}

// list puts addresses on the list.
func list(t *testing.T, base string, addresses ...string) {
	t.Helper()
	body := "{\"address\":\"" + strings.Join(addresses, "\"}\n{\"address\":\"") + "\"}\n"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/suppressions/import", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// example is a block of code of docs/senders.md.
type example struct{ language, code string }

func examples(t *testing.T) (found []example) {
	t.Helper()
	page, err := os.ReadFile(root + "/docs/senders.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		found = append(found, example{m[1], m[2]})
	}
	return found
}

// languages are those of the page, and what runs them. A machine which builds Mailstream may
// lack PHP, and jq of the pipe in bash: their blocks run where these are installed, and the log
// says where they are not.
var languages = map[string]struct {
	command  []string
	optional bool
}{
	"sh": {[]string{"sh"}, false}, "bash": {[]string{"bash"}, false}, "python": {[]string{"python3"}, false}, "js": {[]string{"node"}, false}, "go": {[]string{"go", "run"}, false},
	"php": {[]string{"php"}, true},
}

// runMax bounds one example: `go run` may have to build the client first.
const runMax = 5 * time.Minute

// run returns what e prints of the two addresses.
func (e example) run(t *testing.T, base, secret string) (string, error) {
	t.Helper()
	dir, err := filepath.Abs(root + "/examples") // whose module has the client
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	file := filepath.Join(work, "example."+e.language)
	for name, text := range map[string]string{file: e.code, filepath.Join(work, "addresses.txt"): "ana@example.com\ngone@example.com\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), runMax)
	defer cancel()
	command := languages[e.language].command
	cmd := exec.CommandContext(ctx, command[0], append(slices.Clone(command[1:]), file)...)
	if cmd.Dir = work; e.language == "go" {
		cmd.Dir = dir
	}
	cmd.Env = append(cmd.Environ(), "SUPPRESSION_URL="+base, "MAILSTREAM_SUPPRESSION_TOKEN="+secret)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPage_EveryExampleSaysWhoMayBeMailed runs what the page shows against the service:
// every block.
func TestPage_EveryExampleSaysWhoMayBeMailed(t *testing.T) {
	t.Parallel()
	base := service(t)
	list(t, base, "gone@example.com")
	found := examples(t)
	for language := range languages {
		if !slices.ContainsFunc(found, func(e example) bool { return e.language == language }) {
			t.Errorf("docs/senders.md has nothing in %s", language)
		}
	}
	for n, e := range found {
		how, known := languages[e.language]
		if !known {
			t.Errorf("block %d: nothing runs %s", n+1, e.language)
			continue
		}
		needs, optional := how.command[0], how.optional
		if strings.Contains(e.code, "jq ") {
			needs, optional = "jq", true
		}
		if _, err := exec.LookPath(needs); err != nil && optional {
			t.Logf("block %d, %s, is not run: %v", n+1, e.language, err)
			continue
		}
		t.Run(fmt.Sprint(n+1, e.language), func(t *testing.T) {
			t.Parallel()
			out, err := e.run(t, base, token)
			ok := out == "ana@example.com\n"
			if e.language == "sh" { // it shows the answer
				ok = strings.HasPrefix(out, `{"suppressed":[{"address":"gone@example.com"`)
			}
			if err != nil || !ok {
				t.Errorf("%s, %v", out, err)
			}
			if out, err := e.run(t, base, "wrong"); err == nil || strings.HasPrefix(out, "ana@example.com") {
				t.Errorf("a wrong token: %s, %v", out, err)
			}
		})
	}
}

// TestClient_SaysWhatTheServiceSays compares the stream with the check, and both with what
// was put on the list.
func TestClient_SaysWhatTheServiceSays(t *testing.T) {
	t.Parallel()
	base := service(t)
	var ask, listed []string
	for i := range 12_345 {
		ask = append(ask, fmt.Sprintf("User.%d@Example%d.com", i, i%9))
		if i%7 == 0 {
			listed = append(listed, strings.ToLower(ask[i]))
		}
	}
	ask[3], ask[11_999], ask[12_000] = "nonsense", "Jürgen \"J\" <x@example.com>", `"a b"@example.com`
	list(t, base, listed...)
	c, err := suppressions.New(suppressions.Config{URL: base, Token: token, Timeout: time.Minute /* of a busy machine */})
	if err != nil {
		t.Fatal(err)
	}
	checked, err := c.Check(t.Context(), suppressions.Mail{Stream: "marketing"}, ask...)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for v, err := range c.Stream(t.Context(), suppressions.Mail{Stream: "marketing"}, slices.Values(ask)) {
		if err != nil {
			t.Fatal(err)
		}
		want := checked[i]
		if want.Fault != "" { // the check has it without its field
			want.Fault = "address is " + want.Fault
		}
		if v != want || v.Address != ask[i] || v.Suppressed != (i%7 == 0 || v.Fault != "") {
			t.Fatalf("%d: the stream says %+v, the check %+v", i, v, checked[i])
		}
		i++
	}
	if i != len(ask) {
		t.Errorf("%d verdicts on %d", i, len(ask))
	}
}
