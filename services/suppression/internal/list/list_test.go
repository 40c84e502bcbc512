package list_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

const hash = "00112233445566778899aabbccddeeff"

var epoch = time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)

// at is n minutes after epoch.
func at(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }

// randomState draws from few scopes, reasons and stamps, so that keys and
// stamps collide often.
func randomState(r *rand.Rand) schemas.Suppression {
	s := schemas.Suppression{Hash: hash, UpdatedAt: at(r.IntN(9)), Entries: []schemas.SuppressionEntry{}}
	if r.IntN(3) > 0 {
		s.Address = []string{"a@example.com", "b@example.com"}[r.IntN(2)]
	}
	if r.IntN(3) == 0 {
		s = list.Merge(s, schemas.Suppression{Hash: hash, ErasedAt: at(r.IntN(4))})
	}
	for range r.IntN(9) {
		s = list.Merge(s, schemas.Suppression{Hash: hash, SoftBounces: []schemas.SoftBounce{{
			At: at(r.IntN(3)*720 + r.IntN(6)), Reason: []schemas.Reason{schemas.MailboxFull, schemas.Timeout}[r.IntN(2)],
			Message: []string{"1", "2", "3"}[r.IntN(3)], Evidence: []string{"x", "y"}[r.IntN(2)],
		}}})
	}
	if r.IntN(3) == 0 {
		s = list.Merge(s, schemas.Suppression{Hash: hash, Entries: []schemas.SuppressionEntry{{
			Scope: schemas.ScopeAccount, Reason: schemas.SuppressSoftBounce, Rule: schemas.RuleSoftBounces, RemovedAt: at(r.IntN(3) * 720), RemovedBy: "x",
		}}})
	}
	for range r.IntN(4) {
		e := schemas.SuppressionEntry{
			Scope:  []string{schemas.ScopeAccount, "list:1", "stream:news"}[r.IntN(3)],
			Reason: list.Reasons()[r.IntN(3)],
		}
		stamp := func() time.Time {
			if r.IntN(3) == 0 {
				return time.Time{}
			}
			return at(r.IntN(4))
		}
		text := func() string { return []string{"", "x", "y"}[r.IntN(3)] }
		e.AddedAt, e.RemovedAt, e.ExpiresAt, e.Since = stamp(), stamp(), stamp(), stamp()
		e.Evidence, e.Provider, e.Source, e.Note = text(), text(), text(), text()
		e.RemovedBy, e.RemovedNote = text(), text()
		s = list.Merge(s, schemas.Suppression{Hash: hash, Entries: []schemas.SuppressionEntry{e}})
	}
	return s
}

func TestMerge_IsASemilattice(t *testing.T) {
	t.Parallel()
	const rounds = 5000
	r := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		a, b, c := randomState(r), randomState(r), randomState(r)
		check(t, "idempotent", a, list.Merge(a, a))
		check(t, "commutative", list.Merge(a, b), list.Merge(b, a))
		check(t, "associative", list.Merge(list.Merge(a, b), c), list.Merge(a, list.Merge(b, c)))
		check(t, "absorbing", list.Merge(a, b), list.Merge(list.Merge(a, b), b))
		if t.Failed() {
			return
		}
	}
	for range rounds / 5 {
		a, b, c := failing(r), failing(r), failing(r)
		check(t, "associative where bounds crowd out", list.Merge(list.Merge(a, b), c), list.Merge(a, list.Merge(b, c)))
		check(t, "absorbing where bounds crowd out", list.Merge(a, b), list.Merge(list.Merge(a, b), b))
		if t.Failed() {
			return
		}
	}
}

// failing fails with 12 messages a day, on 20 days or on two: more than are kept.
func failing(r *rand.Rand) schemas.Suppression {
	days := []int{2, 20}[r.IntN(2)]
	var bounces []schemas.SoftBounce
	for range 40 {
		bounces = append(bounces, schemas.SoftBounce{
			At: at(r.IntN(days)*1440 + r.IntN(50)), Reason: []schemas.Reason{schemas.MailboxFull, schemas.Timeout}[r.IntN(2)],
			Message: string(rune('a' + r.IntN(12))), Evidence: []string{"x", "y"}[r.IntN(2)],
		})
	}
	return list.Merge(schemas.Suppression{Hash: hash}, schemas.Suppression{Hash: hash, SoftBounces: bounces})
}

func check(t *testing.T, law string, want, got schemas.Suppression) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("merge is not %s (-want +got):\n%s", law, diff)
	}
}

func TestForget_LeavesWhyAndNobodyBringsTheAddressBack(t *testing.T) {
	t.Parallel()
	entry := schemas.SuppressionEntry{Scope: schemas.ScopeAccount, Reason: schemas.SuppressManual, AddedAt: at(1), Note: "a@example.com called", RemovedAt: at(5), RemovedNote: "later"}
	known := schemas.Suppression{Hash: hash, Address: "a@example.com", Entries: []schemas.SuppressionEntry{entry}}
	got := list.Forget(known, at(3))
	want := entry
	want.Note = ""
	check(t, "forgetting", schemas.Suppression{Hash: hash, ErasedAt: at(3), Entries: []schemas.SuppressionEntry{want}}, got)
	check(t, "forgetting after another replica's state", got, list.Merge(known, got))
	check(t, "forgetting once", got, list.Forget(got, at(2)))
	anew := list.Merge(got, schemas.Suppression{Hash: hash, Address: "a@example.com", ErasedAt: at(3)})
	if anew.Address != "a@example.com" {
		t.Errorf("the address of a later relation is %q", anew.Address)
	}
	if nothing := list.Forget(schemas.Suppression{Hash: hash}, at(3)); !nothing.ErasedAt.IsZero() {
		t.Error("somebody of whom nothing is known got a record")
	}
}

func TestMerge_LeavesItsArgumentsAlone(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		a, b := randomState(r), randomState(r)
		wantA, wantB := list.Merge(a, a), list.Merge(b, b)
		list.Merge(a, b)
		check(t, "free of side effects on a", wantA, a)
		check(t, "free of side effects on b", wantB, b)
	}
}

func TestActive(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		entry schemas.SuppressionEntry
		want  bool
	}{
		{"added", schemas.SuppressionEntry{AddedAt: at(1)}, true},
		{"never added", schemas.SuppressionEntry{}, false},
		{"only lifted", schemas.SuppressionEntry{RemovedAt: at(1)}, false},
		{"lifted later", schemas.SuppressionEntry{AddedAt: at(1), RemovedAt: at(2)}, false},
		{"lifted earlier", schemas.SuppressionEntry{AddedAt: at(2), RemovedAt: at(1)}, true},
		{"added and lifted at once", schemas.SuppressionEntry{AddedAt: at(1), RemovedAt: at(1)}, true},
		{"expired", schemas.SuppressionEntry{AddedAt: at(1), ExpiresAt: at(3)}, false},
		{"not yet expired", schemas.SuppressionEntry{AddedAt: at(1), ExpiresAt: at(4)}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := list.Active(tt.entry, at(3)); got != tt.want {
				t.Errorf("Active = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestStrongest_NamesWhatForbidsTheMail(t *testing.T) {
	t.Parallel()
	entry := func(scope string, reason schemas.SuppressionReason) schemas.SuppressionEntry {
		return schemas.SuppressionEntry{Scope: scope, Reason: reason, AddedAt: at(1)}
	}
	var (
		marketing     = list.Query{Stream: "marketing"}
		transactional = list.Query{Stream: "transactional", Transactional: true}
		listUnsub     = entry("list:17", schemas.SuppressUnsubscribe)
		accountUnsub  = entry(schemas.ScopeAccount, schemas.SuppressUnsubscribe)
		bounce        = entry(schemas.ScopeAccount, schemas.SuppressHardBounce)
		complaint     = entry(schemas.ScopeAccount, schemas.SuppressComplaint)
	)
	tests := []struct {
		name    string
		entries []schemas.SuppressionEntry
		query   list.Query
		want    schemas.SuppressionReason // "": may be sent
	}{
		{"hard bounce, marketing", []schemas.SuppressionEntry{bounce}, marketing, schemas.SuppressHardBounce},
		{"hard bounce, transactional", []schemas.SuppressionEntry{bounce}, transactional, schemas.SuppressHardBounce},
		{"complaint, transactional", []schemas.SuppressionEntry{complaint}, transactional, schemas.SuppressComplaint},
		{"unsubscribed from the account, marketing", []schemas.SuppressionEntry{accountUnsub}, marketing, schemas.SuppressUnsubscribe},
		{"unsubscribed from the account, transactional", []schemas.SuppressionEntry{accountUnsub}, transactional, ""},
		{"unsubscribed from a list, list not said", []schemas.SuppressionEntry{listUnsub}, marketing, schemas.SuppressUnsubscribe},
		{"unsubscribed from a list, that list", []schemas.SuppressionEntry{listUnsub}, list.Query{Stream: "marketing", List: "17"}, schemas.SuppressUnsubscribe},
		{"unsubscribed from a list, another list", []schemas.SuppressionEntry{listUnsub}, list.Query{Stream: "marketing", List: "18"}, ""},
		{"unsubscribed from a list, transactional", []schemas.SuppressionEntry{listUnsub}, transactional, ""},
		{"unsubscribed from a list, transactional to that list", []schemas.SuppressionEntry{listUnsub}, list.Query{Stream: "transactional", List: "17", Transactional: true}, ""},
		{"blocked by hand on a list, transactional to that list", []schemas.SuppressionEntry{entry("list:17", schemas.SuppressManual)}, list.Query{Stream: "transactional", List: "17", Transactional: true}, schemas.SuppressManual},
		{"unsubscribed from exactly that transactional stream", []schemas.SuppressionEntry{entry("stream:transactional", schemas.SuppressUnsubscribe)}, transactional, schemas.SuppressUnsubscribe},
		{"another stream", []schemas.SuppressionEntry{entry("stream:news", schemas.SuppressManual)}, marketing, ""},
		{"stream not said", []schemas.SuppressionEntry{entry("stream:news", schemas.SuppressManual)}, list.Query{}, schemas.SuppressManual},
		{"a scope of a later version", []schemas.SuppressionEntry{entry("tenant:x", schemas.SuppressManual)}, marketing, schemas.SuppressManual},
		{"another source", []schemas.SuppressionEntry{entry("source:a", schemas.SuppressManual)}, list.Query{Source: "b"}, ""},
		{"that source", []schemas.SuppressionEntry{entry("source:a", schemas.SuppressManual)}, list.Query{Source: "a"}, schemas.SuppressManual},
		{"source not said", []schemas.SuppressionEntry{entry("source:a", schemas.SuppressManual)}, marketing, schemas.SuppressManual},
		{"unsubscribed from a source, transactional", []schemas.SuppressionEntry{entry("source:a", schemas.SuppressUnsubscribe)}, transactional, ""},
		{"the hardest reason is named", []schemas.SuppressionEntry{accountUnsub, bounce, complaint}, marketing, schemas.SuppressComplaint},
		{"nothing known", nil, marketing, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, e, ok := list.Strongest(tt.query, at(9), schemas.Suppression{Entries: tt.entries})
			if e.Reason != tt.want || ok != (tt.want != "") {
				t.Errorf("Strongest = %q, %v; want %q", e.Reason, ok, tt.want)
			}
		})
	}
}

func TestValidateScope(t *testing.T) {
	t.Parallel()
	long := make([]byte, 255)
	for i := range long {
		long[i] = 'x'
	}
	tests := []struct {
		name, scope string
		ok          bool
	}{
		{"account", "account", true},
		{"stream", "stream:marketing", true},
		{"list", "list:17", true},
		{"source", "source:acme", true},
		{"nameless source", "source:", false},
		{"empty", "", false},
		{"unknown word", "everything", false},
		{"nameless stream", "stream:", false},
		{"overlong", "list:" + string(long), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := list.ValidateScope(tt.scope); (err == nil) != tt.ok {
				t.Errorf("ValidateScope(%q) = %v, want ok = %v", tt.scope, err, tt.ok)
			}
		})
	}
	if got := list.ListScope(string(long)); list.ValidateScope(got) != nil || got == "list:"+string(long) {
		t.Errorf("ListScope of an overlong id = %q, want a valid shorter scope", got)
	}
}
