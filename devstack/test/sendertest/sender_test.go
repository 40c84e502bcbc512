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

// examples returns the code of docs/senders.md by language.
func examples(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(root + "/docs/senders.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if found[m[1]] == "" { // of two of one language the first
			found[m[1]] = m[2]
		}
	}
	return found
}

// TestPage_EveryExampleSaysWhoMayBeMailed runs what the page shows against the service.
func TestPage_EveryExampleSaysWhoMayBeMailed(t *testing.T) {
	t.Parallel()
	base := service(t)
	list(t, base, "gone@example.com")
	code := examples(t)
	for language, how := range map[string]struct {
		command []string
		stock   bool // every machine that builds this has it
	}{
		"sh": {[]string{"bash"}, true}, "python": {[]string{"python3"}, true}, "js": {[]string{"node"}, true}, "go": {[]string{"go", "run"}, true}, "php": {[]string{"php"}, false},
	} {
		if code[language] == "" {
			t.Errorf("docs/senders.md has nothing in %s", language)
			continue
		}
		if _, err := exec.LookPath(how.command[0]); err != nil && !how.stock {
			continue
		}
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "example."+language)
			if err := os.WriteFile(file, []byte(code[language]), 0o600); err != nil {
				t.Fatal(err)
			}
			run := func(secret string) (string, error) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, how.command[0], append(how.command[1:], file)...)
				cmd.Dir = root + "/examples" // whose module has the client
				cmd.Env = append(cmd.Environ(), "SUPPRESSION_URL="+base, "MAILSTREAM_SUPPRESSION_TOKEN="+secret)
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			out, err := run(token)
			want := "ana@example.com\n"
			if language == "sh" { // it shows the answer
				want = `{"suppressed":[{"address":"gone@example.com"`
			}
			if err != nil || !strings.HasPrefix(out, want) || language != "sh" && out != want {
				t.Errorf("%s, %v, want %s", out, err, want)
			}
			if out, err := run("wrong"); err == nil || strings.HasPrefix(out, "ana@example.com") {
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
	c, err := suppressions.New(suppressions.Config{URL: base, Token: token})
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
