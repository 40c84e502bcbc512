package analyticstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/deadletters"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

const lettersToken = "token-of-the-dead-letters"

// newDesk is a world whose analytics lets callers work on dead letters.
func newDesk(t *testing.T) *world {
	t.Helper()
	return newWorld(t,
		`analytics: {listen: "127.0.0.1:0", flush_interval: 50ms, tokens: [`+lettersToken+`]}`,
		`privacy: {pepper: 0123456789abcdef}`,
		`ingress: {sources: [{name: acme, provider: mailjet, auth: {basic: {username: u, password: p}}}]}`,
	)
}

// letters calls the API, such as "GET /groups", and reads its answer into into, nil for none.
func letters(t *testing.T, svc pipeline.Service, call, body string, into any) (status int, text string) {
	t.Helper()
	method, path, _ := strings.Cut(call, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+svc.Addr()+"/v1/dead-letters"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+lettersToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
		}
	}
	return resp.StatusCode, string(answer)
}

// start begins an operation, once all operations are known.
func start(t *testing.T, svc pipeline.Service, kind, body string) (op schemas.Operation) {
	t.Helper()
	servicetest.EventuallyOr(t, func() bool {
		status, _ := letters(t, svc, "POST /"+kind, body, &op)
		return status == http.StatusAccepted
	}, func() string { _, text := letters(t, svc, "POST /"+kind, body, nil); return text })
	return op
}

// ends waits for the end of an operation.
func ends(t *testing.T, svc pipeline.Service, id string) (op schemas.Operation) {
	t.Helper()
	servicetest.Eventually(t, "the operation ends", func() bool {
		status, _ := letters(t, svc, "GET /operations/"+id, "", &op)
		return status == http.StatusOK && op.State != schemas.OperationRunning
	})
	return op
}

// lettersOf produces n dead letters that the present parser reads.
func (w *world) lettersOf(t *testing.T, n int) {
	t.Helper()
	var recs []*kgo.Record
	for i := range n {
		recs = append(recs, letterOf(t, letterID(i), "no_type", bounceOf(i)))
	}
	w.produce(t, recs...)
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE state = 'open'", fmt.Sprint(n))
}

// published counts the records of bounces in Kafka, in all partitions.
func (w *world) published(t *testing.T) (n int64) {
	t.Helper()
	admin := kadm.NewClient(w.client)
	starts, err := admin.ListStartOffsets(t.Context(), "email.bounced")
	if err = errors.Join(err, starts.Error()); err != nil {
		t.Fatal(err)
	}
	ends, err := admin.ListEndOffsets(t.Context(), "email.bounced")
	if err = errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	starts.Each(func(o kadm.ListedOffset) { n -= o.Offset })
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

func TestOperations_AreStartedWatchedAndAudited(t *testing.T) {
	t.Parallel()
	w := newDesk(t)
	svc, _ := w.analytics(t)
	w.produce(t,
		letterOf(t, letterID(1), "no_type", bounceOf(1)),
		letterOf(t, letterID(2), "no_type", `{"email":"ana@example.com"}`),
		letterOf(t, letterID(3), "raw_delivery", bounceOf(3)),
	)
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE state = 'open'", "3")

	var groups struct{ Groups []deadletters.Group }
	if status, text := letters(t, svc, "GET /groups", "", &groups); status != http.StatusOK || len(groups.Groups) != 2 || groups.Groups[0].Letters != 2 {
		t.Errorf("groups: %d %s", status, text)
	}
	var page struct {
		Letters []deadletters.Letter
		Next    string
	}
	if _, text := letters(t, svc, "GET ?reason=no_type&limit=1", "", &page); len(page.Letters) != 1 || page.Next != letterID(1) || strings.Contains(text, "example.com") {
		t.Errorf("list: %s", text)
	}
	if status, text := letters(t, svc, "GET /"+letterID(2), "", nil); status != http.StatusOK || strings.Contains(text, "ana") {
		t.Errorf("letter: %d %s", status, text)
	}
	var plan deadletters.Result
	if status, text := letters(t, svc, "POST /redrive", `{"all":true,"by":"ana","dry_run":true}`, &plan); status != http.StatusOK || !plan.DryRun || plan.Passed != 1 || plan.Failed != 2 {
		t.Errorf("plan: %d %s", status, text)
	}

	op := ends(t, svc, start(t, svc, "redrive", `{"reason":"no_type","by":"ana","note":"for ana@example.com"}`).ID)
	if op.State != schemas.OperationDone || op.Found != 2 || op.Passed != 1 || op.Events != 1 || op.Failed != 1 || op.Faults["no_type"] != 1 || strings.Contains(op.Note, "ana@") {
		t.Errorf("redriven: %+v", op)
	}
	if got := w.sql(t, "SELECT id, operation FROM dead_letters WHERE state = 'redriven'"); got != letterID(1)+"\t"+op.ID {
		t.Errorf("when it is done, the list says %q", got)
	}
	w.wantSQL(t, "SELECT count(), any(origin) FROM events", "1\treplay")
	gone := ends(t, svc, start(t, svc, "discard", `{"ids":["`+letterID(3)+`"],"by":"bob","note":"a test"}`).ID)
	w.wantSQL(t, "SELECT id, note, operation FROM dead_letters WHERE state = 'discarded'", letterID(3)+"\ta test\t"+gone.ID)
	w.wantSQL(t, "SELECT by, role, action, object, note FROM audit_log ORDER BY time",
		"ana\tapi\tdead_letters.redrive\t"+op.ID+"\tfor a•••@example.com\nbob\tapi\tdead_letters.discard\t"+gone.ID+"\ta test")
	var list struct{ Operations []schemas.Operation }
	if _, text := letters(t, svc, "GET /operations", "", &list); len(list.Operations) != 2 || list.Operations[0].ID != gone.ID {
		t.Errorf("operations: %s", text)
	}
}

func TestOperations_AreStoppedAndDoNothingTwice(t *testing.T) {
	t.Parallel()
	const n = 60
	w := newDesk(t)
	svc, _ := w.analytics(t)
	w.lettersOf(t, n)
	op := start(t, svc, "redrive", `{"all":true,"by":"ana","rate":1}`)
	if status, text := letters(t, svc, "POST /discard", `{"all":true,"by":"bob","note":"x"}`, nil); status != http.StatusConflict || !strings.Contains(text, op.ID) {
		t.Errorf("beside another one: %d %s", status, text)
	}
	h := w.history(t)
	_, err := h.Desk.Perform(t.Context(), deadletters.Request{Kind: schemas.OperationDiscard, All: true, Rate: 1, By: "carl", Role: "command", Note: "x"}, func(schemas.Operation) {})
	if busy, ok := errors.AsType[*deadletters.BusyError](err); !ok || busy.Operation.ID != op.ID {
		t.Errorf("a command beside it: %v", err)
	}
	servicetest.Eventually(t, "it is under way", func() bool {
		letters(t, svc, "GET /operations/"+op.ID, "", &op)
		return op.Passed > 0
	})
	for range 2 { // a second time changes nothing
		if status, text := letters(t, svc, "POST /operations/"+op.ID+"/stop", `{"by":"bob"}`, &op); status != http.StatusOK || op.StopBy != "bob" {
			t.Errorf("stop: %d %s", status, text)
		}
	}
	if op = ends(t, svc, op.ID); op.State != schemas.OperationStopped || op.Passed == 0 || op.Passed >= n {
		t.Errorf("stopped: %+v", op)
	}
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE state = 'redriven'", fmt.Sprint(op.Passed))
	rest := ends(t, svc, start(t, svc, "redrive", `{"all":true,"by":"ana","rate":500}`).ID)
	if rest.State != schemas.OperationDone || rest.Passed+op.Passed != n {
		t.Errorf("the rest: %+v", rest)
	}
	if got := w.published(t); got != n {
		t.Errorf("%d events are published, want each of %d once", got, n)
	}
	w.wantSQL(t, "SELECT count(), uniqExact(id) FROM events", fmt.Sprintf("%d\t%d", n, n))
	w.wantSQL(t, "SELECT count(), any(by) FROM audit_log WHERE action = 'dead_letters.stop'", "1\tbob")
}

func TestOperations_GiveWayToOneThatBeganBefore(t *testing.T) {
	t.Parallel()
	const n = 60
	w := newDesk(t)
	svc, _ := w.analytics(t)
	w.lettersOf(t, n)
	op := start(t, svc, "redrive", `{"all":true,"by":"ana","rate":1}`)
	other := op // of another process, whose record comes late
	other.ID, other.StartedAt = "redrive-of-another-host", op.StartedAt.Add(-time.Millisecond)
	w.produce(t, &kgo.Record{Topic: "email.operations", Key: []byte(other.ID), Value: mustJSON(t, other)})
	if op = ends(t, svc, op.ID); op.State != schemas.OperationCut || op.Passed >= n || !strings.Contains(op.Error, other.ID) {
		t.Errorf("beside one that began before: %+v", op)
	}
	if status, text := letters(t, svc, "POST /redrive", `{"all":true,"by":"bob"}`, nil); status != http.StatusConflict || !strings.Contains(text, other.ID) {
		t.Errorf("a third one: %d %s", status, text)
	}
}

func TestOperations_SayThatTheyWereCutAndGoOn(t *testing.T) {
	t.Parallel()
	const n = 60
	w := newDesk(t)
	svc, stop := w.analytics(t)
	w.lettersOf(t, n)
	op := start(t, svc, "redrive", `{"all":true,"by":"ana","rate":1}`)
	servicetest.Eventually(t, "it is under way", func() bool {
		letters(t, svc, "GET /operations/"+op.ID, "", &op)
		return op.Passed > 0
	})
	stop()
	svc, _ = w.analytics(t)
	servicetest.Eventually(t, "the operations are read", func() bool {
		status, _ := letters(t, svc, "GET /operations", "", nil)
		return status == http.StatusOK
	})
	if op = ends(t, svc, op.ID); op.State != schemas.OperationCut || op.Passed == 0 || op.Passed >= n || op.Error == "" {
		t.Errorf("cut: %+v", op)
	}
	h := w.history(t) // a command goes on where the service was cut
	rest, err := h.Desk.Perform(t.Context(), deadletters.Request{Kind: schemas.OperationRedrive, All: true, Rate: 500, By: "carl", Role: "command"}, func(schemas.Operation) {})
	if err != nil || rest.State != schemas.OperationDone || rest.Passed+op.Passed < n-1 { // the one that was under way at the cut may be counted by neither
		t.Errorf("the rest: %+v, %v", rest, err)
	}
	w.wantSQL(t, "SELECT count(), uniqExact(id) FROM events", fmt.Sprintf("%d\t%d", n, n))
	w.wantSQL(t, "SELECT count() FROM dead_letters WHERE state = 'open'", "0")
	servicetest.Eventually(t, "the service knows what the command did", func() bool {
		var seen schemas.Operation
		letters(t, svc, "GET /operations/"+rest.ID, "", &seen)
		return seen.State == schemas.OperationDone && seen.By == "carl"
	})
}

func TestOperations_RefuseBadInput(t *testing.T) {
	t.Parallel()
	w := newDesk(t)
	svc, _ := w.analytics(t)
	for _, tt := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{http.MethodPost, "/redrive", `{"by":"ana"}`, 400, "all"},
		{http.MethodPost, "/redrive", `{"all":true,"reason":"x","by":"ana"}`, 400, "all"},
		{http.MethodPost, "/redrive", `{"all":true}`, 400, "by"},
		{http.MethodPost, "/redrive", `{"all":true,"by":"ana","rate":501}`, 400, "rate"},
		{http.MethodPost, "/redrive", `{"all":true,"by":"ana","rate":-1}`, 400, "rate"},
		{http.MethodPost, "/redrive", `{"ids":["x"],"by":"ana"}`, 400, "id"},
		{http.MethodPost, "/redrive", `{"reason":"x","from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z","by":"ana"}`, 400, "from"},
		{http.MethodPost, "/redrive", `{"colour":"red"}`, 400, "colour"},
		{http.MethodPost, "/redrive?x=y", `{"all":true,"by":"ana"}`, 400, "x"},
		{http.MethodPost, "/discard", `{"all":true,"by":"ana"}`, 400, "note"},
		{http.MethodPost, "/discard", `{"all":true,"by":"ana","note":" "}`, 400, "note"},
		{http.MethodGet, "/redrive", "", 405, "POST"},
		{http.MethodGet, "?state=closed", "", 400, "state"},
		{http.MethodGet, "?limit=201", "", 400, "limit"},
		{http.MethodGet, "?after=x", "", 400, "after"},
		{http.MethodGet, "/groups?from=yesterday", "", 400, "from"},
		{http.MethodGet, "/" + letterID(9), "", 404, "no dead letter"},
		{http.MethodGet, "/operations/none", "", 404, "no operation"},
		{http.MethodPost, "/operations/none/stop", `{"by":"ana"}`, 404, "no operation"},
		{http.MethodPost, "/operations/none/stop", `{}`, 400, "by"},
	} {
		servicetest.EventuallyOr(t, func() bool {
			status, text := letters(t, svc, tt.method+" "+tt.path, tt.body, nil)
			return status == tt.status && strings.Contains(text, tt.says)
		}, func() string {
			status, text := letters(t, svc, tt.method+" "+tt.path, tt.body, nil)
			return fmt.Sprintf("%s %s %s: %d %s", tt.method, tt.path, tt.body, status, text)
		})
	}
	if got := w.sql(t, "SELECT count() FROM audit_log"); got != "0" {
		t.Errorf("%s entries of the audit", got)
	}
}

func TestOperations_RefuseIDsThatLeaveNothingToDo(t *testing.T) {
	t.Parallel()
	w := newDesk(t)
	svc, _ := w.analytics(t)
	w.lettersOf(t, 2)
	closed, open, none := letterID(0), letterID(1), letterID(9)
	ends(t, svc, start(t, svc, "discard", `{"ids":["`+closed+`"],"by":"ana","note":"a test"}`).ID)
	h := w.history(t)
	for _, tt := range []struct {
		ids    []string
		source string
		status int
		says   string
		is     error
	}{
		{[]string{none}, "", 404, none, deadletters.ErrNoLetter},
		{[]string{open, none}, "", 404, none, deadletters.ErrNoLetter},
		{[]string{closed}, "", 409, closed + " is discarded", deadletters.ErrNotOpen},
		{[]string{open}, "another", 409, "not what else is asked for", deadletters.ErrNotOpen},
	} {
		for _, kind := range []string{schemas.OperationRedrive, schemas.OperationDiscard} {
			for _, dry := range []bool{true, false} {
				asked := map[string]any{"ids": tt.ids, "by": "ana", "note": "x", "dry_run": dry}
				if tt.source != "" {
					asked["source"] = tt.source
				}
				body := mustJSON(t, asked)
				if status, text := letters(t, svc, "POST /"+kind, string(body), nil); status != tt.status || !strings.Contains(text, tt.says) {
					t.Errorf("%s %s: %d %s", kind, body, status, text)
				}
			}
		}
		asked := deadletters.Request{Kind: schemas.OperationRedrive, Filter: deadletters.Filter{IDs: tt.ids, Source: tt.source}, Rate: 1, By: "bo", Role: "command"}
		if op, err := h.Desk.Perform(t.Context(), asked, func(schemas.Operation) {}); !errors.Is(err, tt.is) || op.ID != "" {
			t.Errorf("a command for %v of %q: %+v, %v", tt.ids, tt.source, op, err)
		}
		if _, err := h.Desk.Plan(t.Context(), asked, 0); !errors.Is(err, tt.is) {
			t.Errorf("a plan for %v of %q: %v", tt.ids, tt.source, err)
		}
	}
	w.wantSQL(t, "SELECT count() FROM audit_log", "1")
	rest := ends(t, svc, start(t, svc, "redrive", `{"ids":["`+closed+`","`+open+`"],"by":"ana"}`).ID) // as after one that was cut
	if rest.State != schemas.OperationDone || rest.Passed != 1 {
		t.Errorf("the rest: %+v", rest)
	}
}

func TestOperations_AreClosedWithoutAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc, _ := w.analytics(t)
	servicetest.Eventually(t, "it listens", func() bool { return svc.Addr() != "" })
	for path, want := range map[string]int{"": 403, "/operations": 403, "/redrive": 403} {
		if status, text := letters(t, svc, "POST "+path, `{"all":true,"by":"ana"}`, nil); status != want || !strings.Contains(text, "analytics.tokens") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}
