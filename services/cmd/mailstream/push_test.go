package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/servicetest"
)

// resend is a stand-in of its suppression API. Each call that fails is answered with a
// cut connection: before it is done, or after.
type resend struct {
	mu      sync.Mutex
	entries map[string]string // origin by address
	twice   int               // addresses that were added once more
	fails   func() (before, after bool)
}

func (p *resend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer key-of-the-tests" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if p.fails != nil {
		before, after := p.fails()
		if before {
			panic(http.ErrAbortHandler)
		}
		if after {
			defer panic(http.ErrAbortHandler)
			w = httptest.NewRecorder()
		}
	}
	who := strings.TrimPrefix(r.URL.Path, "/suppressions/")
	var answer any
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/suppressions":
		data := []map[string]string{}
		for address, origin := range p.entries {
			data = append(data, map[string]string{"id": address, "email": address, "origin": origin, "created_at": "2026-03-04 09:15:30.123456+00"})
		}
		answer = map[string]any{"data": data, "has_more": false}
	case r.Method == http.MethodPost:
		var body struct{ Emails []string }
		_ = json.NewDecoder(r.Body).Decode(&body) // of the client
		for _, address := range body.Emails {
			if strings.HasPrefix(address, "bad") {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
		}
		for _, address := range body.Emails {
			if p.entries[address] != "" {
				p.twice++
			}
			p.entries[address] = "manual"
		}
	case p.entries[who] == "":
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodDelete:
		delete(p.entries, who)
	default:
		answer = map[string]string{"id": who, "email": who, "origin": p.entries[who], "created_at": "2026-03-04 09:15:30.123456+00"}
	}
	_ = json.NewEncoder(w).Encode(answer) // to ourselves
}

// providersFile writes a section providers with an account at resend.
func providersFile(t *testing.T, url string, writable bool) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "providers.yaml")
	text := fmt.Sprintf("providers: [{source: acme, provider: resend, key: key-of-the-tests, url: %q, writable: %t}]\n", url, writable)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// put adds an entry of ours and waits until the service has read it: the token of an
// export covers no more than that.
func put(t *testing.T, here service, fields map[string]any) {
	t.Helper()
	var written struct{ Token string }
	if err := here.call(t.Context(), http.MethodPut, "/v1/suppressions", fields, &written); err != nil {
		t.Fatal(err)
	}
	ask := map[string]any{"addresses": []string{}, "min_token": written.Token}
	servicetest.Eventually(t, "the service has read what it wrote", func() bool {
		return here.call(t.Context(), http.MethodPost, "/v1/suppressions/check", ask, nil) == nil
	})
}

// TestPush_AddsThereWhatIsMissing goes from our list to a provider's.
func TestPush_AddsThereWhatIsMissing(t *testing.T) {
	t.Parallel()
	here := suppressionService(t)
	for _, fields := range []map[string]any{
		{"address": "both@example.com", "reason": "hard_bounce"}, {"address": "new@example.com", "reason": "complaint"},
		{"address": "new@example.com", "reason": "manual"}, {"address": "bad@example.com", "reason": "manual"},
		{"address": "mine@example.com", "reason": "manual", "scope": "source:acme"}, {"address": "left@example.com", "reason": "unsubscribe"},
		{"address": "theirs@example.com", "reason": "manual", "scope": "source:other"}, {"address": "list@example.com", "reason": "manual", "list": "7"},
		{"address": "soon@example.com", "reason": "manual", "expires": "2100-01-01"}, {"address": "*@example.org", "reason": "manual"},
		{"address": "dropped@example.com", "reason": "provider_suppressed"},
	} {
		put(t, here, fields)
	}
	provider := &resend{entries: map[string]string{"Both@Example.com": "bounce", "only@example.com": "manual"}}
	server := httptest.NewServer(provider)
	defer server.Close()
	run := listCommands(t, here)
	sum := func(file string, args ...string) (got pushed, err error) {
		t.Helper()
		out, err := run(append([]string{"sync", "--source", "acme", "--push", "--json", "--config", file}, args...)...)
		if text := json.Unmarshal([]byte(out), &got); text != nil && err == nil {
			t.Fatal(text)
		}
		return got, err
	}
	readOnly, writable := providersFile(t, server.URL, false), providersFile(t, server.URL, true)
	want := pushed{Source: "acme", Provider: "resend", Read: 2, Ours: 9, Both: 2, Missing: 3, DryRun: true, LeftOut: map[string]int{
		"the entry is for another source": 1, "the entry ends, and the provider's would not": 1, "it is a pattern, or its address was erased": 1,
		"the lists of resend are for all mail of the account, and the entry is for a stream or a list": 1,
	}}
	got, err := sum(readOnly)
	if diff := cmp.Diff(want, got); diff != "" || err != nil || len(provider.entries) != 2 {
		t.Errorf("dry run: %v (-want +got):\n%s", err, diff)
	}
	if _, err := sum(readOnly, "--apply"); err == nil || !strings.Contains(err.Error(), "set writable") || len(provider.entries) != 2 {
		t.Errorf("an account that is read alone: %v", err)
	}
	want.DryRun, want.Added, want.Refused = false, 2, 1
	got, err = sum(writable, "--apply")
	if len(got.First) != 1 || !strings.HasPrefix(got.First[0], "bad@example.com: ") || err == nil || !strings.Contains(err.Error(), "refused 1 of 3") {
		t.Errorf("refused %v, %v", got.First, err)
	}
	got.First = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("apply (-want +got):\n%s", diff)
	}
	if p := provider.entries; len(p) != 4 || p["new@example.com"] == "" || p["mine@example.com"] == "" {
		t.Errorf("the provider has %v", p)
	}
	if got, err := sum(writable, "--reason", "unsubscribe"); err != nil || got.Ours != 1 || got.Missing != 1 {
		t.Errorf("unsubscribes: %+v, %v", got, err)
	}
	for _, args := range [][]string{{"--reason", "provider_suppressed"}, {"--expires", "1h"}} {
		if _, err := sum(writable, args...); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

// TestLift_AtTheProviderToo wants both lists without the address, or neither.
func TestLift_AtTheProviderToo(t *testing.T) {
	t.Parallel()
	here := suppressionService(t)
	for _, address := range []string{"ana@gmail.com", "cy@example.com"} {
		put(t, here, map[string]any{"address": address, "reason": "provider_suppressed"})
	}
	provider := &resend{entries: map[string]string{"ana@googlemail.com": "bounce", "cy@example.com": "complaint", "eve@example.com": "manual"}}
	server := httptest.NewServer(provider)
	defer server.Close()
	readOnly, writable := providersFile(t, server.URL, false), providersFile(t, server.URL, true)
	run := listCommands(t, here)
	lift := func(file string, args ...string) (string, error) {
		return run(append([]string{"lift", "--note", "n", "--at-provider", "acme", "--config", file}, args...)...)
	}
	suppressed := func() string {
		out, err := run("check", "ana@gmail.com", "cy@example.com")
		if err != nil {
			t.Fatal(err)
		}
		return out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]
	}
	for _, step := range []struct {
		file       string
		args       []string
		says, here string
		there      int
	}{
		{readOnly, []string{"ana@gmail.com", "--dry-run"}, "acme: ana@googlemail.com: bounce: would be lifted\n", "2 of 2", 3},
		{readOnly, []string{"ana@gmail.com"}, "set writable", "2 of 2", 3},
		{writable, []string{"ana@gmail.com", "cy@example.com"}, "--consent", "2 of 2", 3},
		{writable, []string{"*@example.com"}, "addresses alone", "2 of 2", 3},
		{writable, []string{"ana@gmail.com", "--reason", "manual"}, "--reason does not go", "2 of 2", 3},
		{writable, []string{"ana@gmail.com"}, "acme: ana@googlemail.com: bounce: lifted\nlifted 1 entry here, 1 was at the providers\n", "1 of 2", 2},
		{writable, []string{"ana@gmail.com"}, "lifted 0 entries here, 0 were at the providers\n", "1 of 2", 2},
		{writable, []string{"cy@example.com", "--consent"}, "complaint: lifted", "0 of 2", 1},
	} {
		out, err := lift(step.file, step.args...)
		if err != nil {
			out += err.Error()
		}
		if !strings.Contains(out, step.says) || !strings.HasPrefix(suppressed(), step.here) || len(provider.entries) != step.there {
			t.Errorf("%v: %q, then %q and %v", step.args, out, suppressed(), provider.entries)
		}
	}
}
