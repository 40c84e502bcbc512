package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/servicetest"
)

// listCommands runs `mailstream suppressions` against here.
func listCommands(t *testing.T, here service) func(args ...string) (string, error) {
	t.Helper()
	return func(args ...string) (string, error) {
		var out, progress bytes.Buffer
		args = append([]string{"suppressions", args[0], "--url", here.url}, args[1:]...)
		err := newRoot(process{args: args, environ: []string{"MAILSTREAM_SUPPRESSION_TOKEN=" + here.token}, stdout: &out, stderr: &progress}).ExecuteContext(t.Context())
		return out.String(), err
	}
}

// TestList_ImportCheckExplainExport goes from a file to the answers and back to a file.
func TestList_ImportCheckExplainExport(t *testing.T) {
	t.Parallel()
	run := listCommands(t, suppressionService(t))
	file := filepath.Join(t.TempDir(), "list.csv")
	var text strings.Builder
	text.WriteString("address,reason,note\n")
	const lines = importPart + 500
	for i := range lines - 1 {
		fmt.Fprintf(&text, "u%d@example.com,hard_bounce,gone\n", i)
	}
	text.WriteString("nonsense,manual,\n")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	refusals := filepath.Join(t.TempDir(), "refused.ndjson")
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"import", file, "--dry-run"}, "10500 lines: 10499 would be accepted, 10499 of them new, 1 refused\n"},
		{[]string{"import", file, "--errors", refusals}, "10500 lines: 10499 accepted, 10499 of them new, 1 refused\n"},
		{[]string{"import", file}, "10500 lines: 10499 accepted, 0 of them new, 1 refused\n"},
	} {
		out, err := run(step.args...)
		if !strings.HasSuffix(out, step.want) || !strings.HasPrefix(out, "line 10501: address is ") || err == nil || !strings.Contains(err.Error(), "1 of 10500 lines") {
			t.Fatalf("%v: %q, %v", step.args, out, err)
		}
	}
	if line, err := os.ReadFile(refusals); err != nil || !strings.HasPrefix(string(line), `{"line":10501,`) {
		t.Errorf("%s, %v", line, err)
	}
	if _, err := os.Stat(file + progressSuffix); !os.IsNotExist(err) {
		t.Errorf("the progress is still there: %v", err)
	}
	if out, err := run("check", "u7@example.com", "new@example.com"); err != nil || !strings.HasPrefix(out, "u7@example.com: hard_bounce (account) since ") || !strings.HasSuffix(out, "1 of 2 must not be mailed\n") {
		t.Errorf("check: %q, %v", out, err)
	}
	if _, err := run("check", "nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("check of none: %v", err)
	}
	if out, err := run("explain", "u7@example.com"); err != nil || !strings.Contains(out, "added  hard_bounce (account) by request ") || !strings.Contains(out, ": gone\n") || !strings.Contains(out, "must not be mailed") {
		t.Errorf("explain: %q, %v", out, err)
	}
	if out, err := run("explain", "new@example.com"); err != nil || out != "new@example.com may be mailed\n" {
		t.Errorf("explain of a new one: %q, %v", out, err)
	}
	out, err := run("export", "--domain", "example.com")
	if n := strings.Count(out, "@example.com"); err != nil || n != lines-1 {
		t.Errorf("%d are exported, %v", n, err)
	}
	if _, err := run("export", "--scope", "galaxy"); err == nil || !strings.Contains(err.Error(), "scope must be") {
		t.Errorf("a wrong scope: %v", err)
	}
}

// TestExport_SinceAToken keeps a copy in step from a shell.
func TestExport_SinceAToken(t *testing.T) {
	t.Parallel()
	here := suppressionService(t)
	run := func(args ...string) (out, said string, err error) {
		var stdout, stderr bytes.Buffer
		args = append([]string{"suppressions", "export", "--url", here.url}, args...)
		err = newRoot(process{args: args, environ: []string{"MAILSTREAM_SUPPRESSION_TOKEN=" + here.token}, stdout: &stdout, stderr: &stderr}).ExecuteContext(t.Context())
		return stdout.String(), stderr.String(), err
	}
	token := func(said string) string {
		_, quoted, _ := strings.Cut(strings.TrimSpace(said), "--since-token ")
		plain, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%q: %v", said, err)
		}
		return plain
	}
	put(t, here, map[string]any{"address": "old@example.com"})
	_, said, err := run()
	if err != nil {
		t.Fatal(err)
	}
	put(t, here, map[string]any{"address": "new@example.com"})
	first := token(said)
	var out string
	servicetest.Eventually(t, "what was added is there", func() bool {
		out, said, err = run("--since-token", first)
		return err != nil || out != ""
	})
	if err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "new@example.com") {
		t.Errorf("%q, %v", out, err)
	}
	if out, _, err := run("--since-token", token(said)); err != nil || out != "" {
		t.Errorf("nothing has changed: %q, %v", out, err)
	}
	for flag, value := range map[string]string{
		"since-token": "nonsense", "domain": "exa mple", "source": strings.Repeat("x", 255), "from": "yesterday", "reason": "mood", "scope": "list:", "format": "xml",
	} {
		for _, value := range []string{value, ""} {
			_, _, err := run("--"+flag, value)
			if _, usage := errors.AsType[*usageError](err); !usage {
				t.Errorf("--%s=%q: %v", flag, value, err)
			}
		}
	}
}

// TestImport_StoppedAnywhereBalances cuts the import at each call in turn, before and after
// the service has done it, and wants the next run of the same command to end with the sums
// and refusals of an import that was never stopped.
func TestImport_StoppedAnywhereBalances(t *testing.T) {
	t.Parallel()
	here := suppressionService(t)
	target, err := url.Parse(here.url)
	if err != nil {
		t.Fatal(err)
	}
	const lines = 3*importPart + 7
	for at := range 4 {
		for _, after := range []bool{false, true} {
			calls := 0
			proxy := httputil.NewSingleHostReverseProxy(target)
			cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls++; calls-1 != at {
					proxy.ServeHTTP(w, r)
					return
				}
				if after {
					proxy.ServeHTTP(httptest.NewRecorder(), r)
				}
				panic(http.ErrAbortHandler)
			}))
			defer cut.Close()
			run := listCommands(t, service{url: cut.URL, token: here.token})
			dir := t.TempDir()
			file, refusals := filepath.Join(dir, "list.csv"), filepath.Join(dir, "refused.ndjson")
			domain := fmt.Sprintf("at%d-%t.example.com", at, after)
			var text strings.Builder
			text.WriteString("address,reason\n")
			for i := range lines {
				if i%5000 == 3 {
					fmt.Fprintf(&text, "nonsense%d,manual\n", i)
					continue
				}
				fmt.Fprintf(&text, "u%d@%s,hard_bounce\n", i, domain)
			}
			if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := run("import", file, "--errors", refusals, "--json"); err == nil || strings.Contains(err.Error(), "were refused") {
				t.Fatalf("at %d: it was not stopped: %v", at, err)
			}
			out, err := run("import", file, "--errors", refusals, "--json")
			var sum importSum
			if json.Unmarshal([]byte(out), &sum) != nil || err == nil || !strings.Contains(err.Error(), "were refused") {
				t.Fatalf("at %d: %q, %v", at, out, err)
			}
			if sum.Lines != lines || sum.Refused != 7 || sum.Accepted != lines-7 || len(sum.First) != 7 {
				t.Errorf("at %d, after %t: %+v", at, after, sum)
			}
			said, err := os.ReadFile(refusals)
			if err != nil || strings.Count(string(said), "\n") != 7 {
				t.Errorf("at %d, after %t: refused %q, %v", at, after, said, err)
			}
			out, err = run("export", "--domain", domain)
			if n := strings.Count(out, "@"+domain); err != nil || n != lines-7 {
				t.Errorf("at %d, after %t: %d are on the list, %v", at, after, n, err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*mailstream-import*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		}
	}
}

// TestImport_SaysBeforeItForgets cannot say what became of the file: the next run does.
func TestImport_SaysBeforeItForgets(t *testing.T) {
	t.Parallel()
	here, dir := suppressionService(t), t.TempDir()
	file, refusals := filepath.Join(dir, "list.csv"), filepath.Join(dir, "refused.ndjson")
	if err := os.WriteFile(file, []byte("address\na@example.com\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed, err := os.Create(filepath.Join(dir, "closed"))
	if err != nil || closed.Close() != nil {
		t.Fatal(err)
	}
	imports := func(stdout io.Writer, more ...string) error {
		args := append([]string{"suppressions", "import", "--url", here.url, file, "--errors", refusals}, more...)
		return newRoot(process{args: args, environ: []string{suppressionToken + "=" + here.token}, stdout: stdout, stderr: io.Discard}).ExecuteContext(t.Context())
	}
	for _, form := range []string{"--json=false", "--json"} {
		if err := imports(closed, form); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s to nobody: %v", form, err)
		}
	}
	var out bytes.Buffer
	if err := imports(&out); err == nil || !strings.Contains(out.String(), "2 lines: 1 accepted") {
		t.Errorf("%q, %v", &out, err)
	}
	if _, err := os.Stat(file + progressSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// TestImport_GoesOnWithTheSameFileAlone refuses what it cannot go on with.
func TestImport_GoesOnWithTheSameFileAlone(t *testing.T) {
	t.Parallel()
	run := listCommands(t, service{url: "http://127.0.0.1:1"})
	file := filepath.Join(t.TempDir(), "list.ndjson")
	if err := os.WriteFile(file, []byte("{\"address\":\"a@example.com\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for progress, want := range map[string]string{
		"nonsense\n": "remove it", "": "remove it", "3\n": "remove it", `{"line":3,"file":"1 bytes"}`: "has changed since",
	} {
		if err := os.WriteFile(file+progressSuffix, []byte(progress), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := run("import", file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", progress, err)
		}
	}
	if _, err := run("import", file+".none"); err == nil {
		t.Error("a file that is not there was imported")
	}
}
