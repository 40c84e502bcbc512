package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/providerapi"
)

// runsMain makes the test binary the command, so that it can be killed.
const runsMain = "TEST_BINARY_IS_MAILSTREAM"

func TestMain(m *testing.M) {
	if os.Getenv(runsMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// fuse kills a command at one of its calls, whoever answers it.
type fuse struct {
	rng         *rand.Rand
	ours        service      // what the command asks through the fuse
	here, there http.Handler // that, and the provider

	mu    sync.Mutex
	calls int // until it blows; below 0 never
	point point
	kill  func()
	blown bool
}

// point is when, of the call.
type point int

const (
	before   point = iota // nothing is done
	done                  // and nothing is answered
	answered              // what comes next may be at any place
)

// set arms the fuse for one run, at one of the next most calls; without kill it never blows.
func (f *fuse) set(most int, kill func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.point, f.kill, f.blown = f.rng.IntN(most), point(f.rng.IntN(3)), kill, false
	if kill == nil {
		f.calls = -1
	}
}

// serve is one call, which h answers.
func (f *fuse) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.calls--
	blows, at, kill := f.calls == -1 && f.kill != nil, f.point, f.kill
	f.blown = f.blown || blows
	pause := time.Duration(f.rng.IntN(3000)) * time.Microsecond
	f.mu.Unlock()
	switch {
	case !blows:
		h.ServeHTTP(w, r)
	case at == answered:
		h.ServeHTTP(w, r)
		time.AfterFunc(pause, kill)
	default:
		if at == done {
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		kill()
		// Who asked is gone for sure before the connection ends: else it might ask once more.
		_, _ = io.Copy(io.Discard, r.Body) // what was not read hides the end
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

// once gives run where to ask, and returns when nothing that it asked for is on its way
// any more.
func (f *fuse) once(ctx context.Context, run func(ctx context.Context, here service, provider string) error) error {
	behind := func(h http.Handler) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(h, w, r) }))
	}
	here, there := behind(f.here), behind(f.there)
	defer there.Close()
	defer here.Close()
	return run(ctx, service{url: here.URL, token: f.ours.token}, there.URL)
}

// untilDone starts run anew until it ends by itself. It kills it at most four times, and
// returns how often it did. A run that was killed must not say that all went well.
func (f *fuse) untilDone(t *testing.T, most int, run func(ctx context.Context, here service, provider string) error) (kills int) {
	t.Helper()
	for ; ; kills++ {
		ctx, cancel := context.WithCancel(t.Context())
		f.set(most, cancel)
		if kills == 4 {
			f.set(most, nil)
		}
		err := f.once(ctx, run)
		cancel()
		f.mu.Lock()
		blown, early := f.blown, f.blown && f.point != answered
		f.mu.Unlock()
		switch {
		case err == nil && !early:
			return kills
		case err == nil:
			t.Fatal("a run that was cut off says that all went well")
		case !blown:
			t.Fatal(err)
		}
	}
}

func newFuse(t *testing.T, here service, provider http.Handler) *fuse {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	target, err := url.Parse(here.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // who asked has gone
	return &fuse{rng: rand.New(rand.NewPCG(seed, 14)), ours: here, here: proxy, there: provider}
}

// listed returns what here has of a domain: reason and note by address. Twice is a fault.
func listed(t *testing.T, here service, domain string) map[string]string {
	t.Helper()
	var text bytes.Buffer
	if _, err := here.copy(t.Context(), "/v1/suppressions/export?format=ndjson&domain="+domain, &text); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range bytes.Lines(text.Bytes()) {
		var e exportedEntry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if found[e.Address] != "" {
			t.Errorf("%s is on the list twice", e.Address)
		}
		found[e.Address] = fmt.Sprintf("%s %s", e.Reason, e.Note)
	}
	return found
}

// importedFile writes a file of lines, every ninth of them bad, and returns what it makes of
// the list and the numbers of the bad ones.
func importedFile(t *testing.T, file, domain string, lines int) (want map[string]string, bad []int) {
	t.Helper()
	want = map[string]string{}
	var text strings.Builder
	text.WriteString("address,reason,note\n")
	for i := range lines {
		who, reason := fmt.Sprintf("u%d@%s", i, domain), []string{"hard_bounce", "complaint", "manual"}[i%3]
		if i%9 == 4 {
			who, bad = []string{"nonsense", "", "\"open"}[i%3], append(bad, i+2)
		} else {
			want[who] = fmt.Sprintf("%s line %d", reason, i)
		}
		fmt.Fprintf(&text, "%s,%s,line %d\n", who, reason, i)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return want, bad
}

// wantImported compares what an import says, in the end, with what it did.
func wantImported(t *testing.T, sum importSum, dir string, lines int, bad []int) {
	t.Helper()
	if sum.Lines != lines || sum.Refused != len(bad) || sum.Accepted != lines-len(bad) || sum.Changed > sum.Accepted {
		t.Errorf("of %d lines, %d of them bad: %+v", lines, len(bad), sum)
	}
	text, err := os.ReadFile(filepath.Join(dir, "refused.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	var refused []int
	for line := range bytes.Lines(text) {
		var r refusedLine
		if err := json.Unmarshal(line, &r); err != nil || r.Error == "" {
			t.Errorf("%s: %v", line, err)
		}
		refused = append(refused, r.Line)
	}
	slices.Sort(refused) // within a part, what the service refuses comes behind
	if diff := cmp.Diff(bad, refused); diff != "" {
		t.Errorf("refused lines (-bad +named):\n%s", diff)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*"+progressSuffix)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestImport_KilledAtRandomBalances ends an import at any of its calls, and starts it again.
func TestImport_KilledAtRandomBalances(t *testing.T) {
	t.Parallel()
	here, kills := suppressionService(t), 0
	f := newFuse(t, here, http.NotFoundHandler())
	for round := range 60 {
		const lines = 60
		dir, domain := t.TempDir(), fmt.Sprintf("round%d.example.com", round)
		file := filepath.Join(dir, "list.csv")
		want, bad := importedFile(t, file, domain, lines)
		var sum importSum
		kills += f.untilDone(t, 8, func(ctx context.Context, there service, _ string) error {
			i := importCommand{listCall: listCall{service: there}, partLines: 7, file: file, errorsFile: filepath.Join(dir, "refused.ndjson"), progress: io.Discard}
			err := i.run(ctx)
			if sum = i.sum; err == nil {
				_ = i.end(io.Discard) // it says that lines were refused
			}
			return err
		})
		wantImported(t, sum, dir, lines, bad)
		if diff := cmp.Diff(want, listed(t, here, domain)); diff != "" {
			t.Fatalf("round %d: on the list (-in the file +there):\n%s", round, diff)
		}
	}
	if t.Logf("%d kills", kills); kills < 40 {
		t.Errorf("hardly anything was killed: %d times", kills)
	}
}

// syncing is one direction of a sync with a stand-in, both behind the fuse.
func syncing(t *testing.T, there service, provider string) *syncCommand {
	t.Helper()
	return &syncCommand{
		listCall: listCall{service: there}, most: 7, source: "acme", apply: true, progress: io.Discard,
		account: providerapi.Account{Source: "acme", Provider: "resend", Key: config.Literal("key-of-the-tests"), URL: provider, Writable: true},
	}
}

// TestSync_KilledAtRandomBalances ends syncs at any of their calls, to us and to the
// provider, in both directions.
func TestSync_KilledAtRandomBalances(t *testing.T) {
	t.Parallel()
	here, kills := suppressionService(t), 0
	provider := &resend{entries: map[string]string{}}
	f := newFuse(t, here, provider)
	put(t, here, map[string]any{"address": "bad@example.org", "reason": "manual"})
	for round := range 40 {
		domain := fmt.Sprintf("round%d.example.org", round)
		name := func(i int) string { return fmt.Sprintf("u%d@%s", i, domain) }
		want, both := map[string]string{}, map[string]string{}
		provider.mu.Lock()
		read := 26 + len(provider.entries)
		for i := range 40 { // of three: on our list, on theirs, on both
			if i%3 != 1 {
				put(t, here, map[string]any{"address": name(i), "reason": "manual", "note": "ours"})
				want[name(i)] = "manual ours"
			}
			if i%3 != 0 {
				provider.entries[name(i)] = "bounce"
			}
			if i%3 == 1 {
				want[name(i)] = "provider_suppressed bounce on the list of resend since 2026-03-04T09:15:30Z"
			}
			both[name(i)] = "on it"
		}
		provider.mu.Unlock()
		var in synced
		kills += f.untilDone(t, 16, func(ctx context.Context, there service, url string) error {
			s := syncing(t, there, url)
			err := s.run(ctx)
			in = s.sum
			return err
		})
		if in.Read != read || in.Both+in.Missing != in.Read || in.Missing != in.Added || in.Invalid != 0 {
			t.Errorf("round %d: %+v", round, in)
		}
		if diff := cmp.Diff(want, listed(t, here, domain)); diff != "" {
			t.Fatalf("round %d: on our list (-wanted +there):\n%s", round, diff)
		}
		var out pushed
		kills += f.untilDone(t, 16, func(ctx context.Context, there service, url string) error {
			p := pusher{syncCommand: syncing(t, there, url), reasons: pushDefault}
			err := p.run(ctx)
			out = p.sum
			return err
		})
		provider.mu.Lock()
		got := map[string]string{}
		for address := range provider.entries {
			if _, its, _ := strings.Cut(address, "@"); its == domain {
				got[address] = "on it"
			}
		}
		twice := provider.twice
		provider.mu.Unlock()
		if diff := cmp.Diff(both, got); diff != "" || twice > 0 || out.Refused != 1 || out.Missing != out.Added+out.Refused {
			t.Fatalf("round %d: %+v; %d were added there twice; on their list (-wanted +there):\n%s", round, out, twice, diff)
		}
	}
	if t.Logf("%d kills", kills); kills < 80 {
		t.Errorf("hardly anything was killed: %d times", kills)
	}
}

// TestCommands_KilledAsProcessesBalance does it with SIGKILL, which leaves the files as they
// are at that moment.
func TestCommands_KilledAsProcessesBalance(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	here, kills := suppressionService(t), 0
	provider := &resend{entries: map[string]string{}}
	f, dir := newFuse(t, here, provider), t.TempDir()
	// run kills a command until it ends by itself, and returns what it printed then.
	run := func(most int, args ...string) (out []byte) {
		t.Helper()
		kills += f.untilDone(t, most, func(ctx context.Context, there service, url string) error {
			all := append([]string{"suppressions", args[0], "--url", there.url, "--json"}, args[1:]...)
			if args[0] == "sync" {
				all = append(all, "--config", providersFile(t, url, true))
			}
			cmd := exec.CommandContext(ctx, binary, all...)
			cmd.Env = []string{runsMain + "=1", suppressionToken + "=" + here.token}
			var err error
			out, err = cmd.Output()
			exit, failed := errors.AsType[*exec.ExitError](err)
			left, _ := filepath.Glob(filepath.Join(dir, "*"+progressSuffix)) // the pattern is good
			switch {
			case !failed:
				return err
			case json.Valid(out) && len(left) == 0:
				return nil // it came to its end: it says that something was refused, or was killed with no more to do
			}
			return fmt.Errorf("%s: %w: %s", args[0], err, exit.Stderr)
		})
		return out
	}
	const lines, domain = 2*importPart + 7, "process.example.com"
	file := filepath.Join(dir, "list.csv")
	want, bad := importedFile(t, file, domain, lines)
	var sum importSum
	if err := json.Unmarshal(run(3, "import", file, "--errors", filepath.Join(dir, "refused.ndjson")), &sum); err != nil {
		t.Fatal(err)
	}
	wantImported(t, sum, dir, lines, bad)
	if diff := cmp.Diff(want, listed(t, here, domain)); diff != "" {
		t.Errorf("on the list (-in the file +there):\n%s", diff)
	}
	provider.mu.Lock()
	provider.entries["new@process.example.org"] = "bounce"
	provider.mu.Unlock()
	run(3, "sync", "--source", "acme", "--apply")
	if got := listed(t, here, "process.example.org"); len(got) != 1 {
		t.Errorf("a pull makes %v", got)
	}
	run(5, "sync", "--source", "acme", "--apply", "--push")
	if provider.mu.Lock(); provider.twice > 0 || len(provider.entries) != 1+len(want) {
		t.Errorf("a push makes %d of %d entries, %d of them twice", len(provider.entries), 1+len(want), provider.twice)
	}
	provider.mu.Unlock()
	if t.Logf("%d kills", kills); kills == 0 {
		t.Error("nothing was killed")
	}
}
