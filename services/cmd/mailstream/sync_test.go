package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/providerapi"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// suppressionService runs the real one on a broker of the test.
func suppressionService(t *testing.T) service {
	t.Helper()
	cfg := pipeline.Default()
	cfg.Kafka, cfg.State.Dir = kafkatest.Start(t), t.TempDir()
	cfg.Privacy.Pepper = config.Literal("pepper-of-the-sync-tests")
	cfg.Suppression.Listen, cfg.Suppression.MetricsListen = "127.0.0.1:0", "off"
	cfg.Suppression.Tokens = []config.Secret{config.Literal("secret")}
	s, err := pipeline.New(cfg, pipeline.Suppression, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	servicetest.Start(t, s)
	return service{url: "http://" + s.Addr(), token: "secret"}
}

// TestSync_AddsWhatIsMissingHere goes from a provider's list to the answer of a check.
func TestSync_AddsWhatIsMissingHere(t *testing.T) {
	t.Parallel()
	here := suppressionService(t)
	if err := here.call(t.Context(), http.MethodPut, "/v1/suppressions", map[string]string{"address": "known@example.com", "reason": "hard_bounce"}, nil); err != nil {
		t.Fatal(err)
	}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Api-Key") != "key-of-the-tests" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		contact := func(address, code string) map[string]any {
			return map[string]any{"email": address, "blockedAt": "2026-03-04T09:15:30Z", "reason": map[string]string{"code": code, "message": "550\nno such user"}}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"contacts": []any{ // the test reads it
			contact("Known@Example.com", "hardBounce"), contact("new@example.com", "contactFlaggedAsSpam"), contact("nonsense", "adminBlocked"),
		}})
	}))
	defer provider.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("providers: [{source: acme-brevo, provider: brevo, key: key-of-the-tests, url: %q}]\n", provider.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		var out, progress bytes.Buffer
		args = append([]string{"suppressions", "sync", "--config", file, "--url", here.url}, args...)
		err := newRoot(process{args: args, environ: []string{"MAILSTREAM_SUPPRESSION_TOKEN=secret"}, stdout: &out, stderr: &progress}).ExecuteContext(t.Context())
		return out.String(), err
	}
	sum := func(args ...string) (got synced) {
		t.Helper()
		out, err := run(append(args, "--json")...)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	kinds := map[providerapi.Kind]int{providerapi.Bounce: 1, providerapi.Complaint: 1, providerapi.Manual: 1}
	missing := filepath.Join(dir, "missing.ndjson")
	want := synced{Source: "acme-brevo", Provider: "brevo", Read: 3, Kinds: kinds, Both: 1, Missing: 1, Invalid: 1, DryRun: true}
	for range 2 { // a dry run changes nothing
		if diff := cmp.Diff(want, sum("--source", "acme-brevo", "--out", missing)); diff != "" {
			t.Errorf("dry run (-want +got):\n%s", diff)
		}
		line, err := os.ReadFile(missing)
		if err != nil || !strings.Contains(string(line), `"address":"new@example.com","reason":"provider_suppressed"`) || strings.Count(string(line), "\n") != 1 {
			t.Errorf("%s, %v", line, err)
		}
		if err := os.Remove(missing); err != nil {
			t.Fatal(err)
		}
	}
	want.Added, want.DryRun = 1, false
	if diff := cmp.Diff(want, sum("--source", "acme-brevo", "--apply")); diff != "" {
		t.Errorf("apply (-want +got):\n%s", diff)
	}
	want.Both, want.Missing, want.Added = 2, 0, 0
	if diff := cmp.Diff(want, sum("--source", "acme-brevo", "--apply")); diff != "" {
		t.Errorf("once more (-want +got):\n%s", diff)
	}
	var answer struct {
		Suppressed []struct{ Address, Reason, Note, Expires string }
	}
	if err := here.call(t.Context(), http.MethodPost, "/v1/suppressions/check", map[string]any{"addresses": []string{"new@example.com"}}, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Suppressed) != 1 || answer.Suppressed[0].Reason != "provider_suppressed" || answer.Suppressed[0].Expires == "" ||
		answer.Suppressed[0].Note != "complaint on the list of brevo since 2026-03-04T09:15:30Z: 550 no such user" {
		t.Errorf("check says %+v", answer.Suppressed)
	}
	if _, err := run("--source", "acme-brev"); err == nil || !strings.Contains(err.Error(), "acme-brevo") {
		t.Errorf("an unknown source: %v", err)
	}
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run("--source", "acme-brevo"); err == nil || !strings.Contains(err.Error(), "has no section providers") {
		t.Errorf("a file without accounts: %v", err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, "key-of-the-tests", "expired", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run("--source", "acme-brevo"); err == nil || !strings.Contains(err.Error(), "the key is wrong, expired") {
		t.Errorf("an expired key: %v", err)
	}
}
