package store

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

// nobody has to be forgotten.
type nobody struct{}

func (nobody) Of(string) (schemas.Erasure, bool) { return schemas.Erasure{}, false }
func (nobody) Covers([]byte, int64, int64) bool  { return false }
func (nobody) HasLetter(string) bool             { return false }

// one person has to be forgotten.
type one schemas.Erasure

func (o one) Of(hash string) (schemas.Erasure, bool) { return schemas.Erasure(o), hash == o.Hash }
func (o one) HasLetter(id string) bool               { return len(o.DeadLetters) == 1 && id == o.DeadLetters[0] }
func (o one) Covers(hash []byte, at, received int64) bool {
	return string(hash) == o.Hash && min(at, received) <= o.ErasedAt.UnixMilli()
}

const erasedHash = "00112233445566778899aabbccddeeff" // of fullEvent

// A column that is neither blanked nor counted here is a new one, of which somebody
// has to decide whether it leads to a person.
func TestBlock_BlanksAPersonAndKeepsWhatIsCounted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 10, 0, 0, 123e6, time.UTC)
	plain := stored(t, "event_log", eventRecord(fullEvent))[0]
	got := storedBut(t, one{Hash: erasedHash, ErasedAt: at}, "event_log", eventRecord(fullEvent))[0]
	want := plain
	for _, column := range []string{"provider_event_id", "message_id", "recipient", "recipient_hash", "subject", "smtp_reply", "url", "ip", "user_agent", "raw"} {
		want[column] = ""
	}
	want["tags"], want["metadata"] = []string{}, map[string]string{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("blanked row (-want +got):\n%s", diff)
	}
	later := storedBut(t, one{Hash: erasedHash, ErasedAt: at.Add(-time.Millisecond)}, "event_log", eventRecord(fullEvent))[0]
	if later["recipient_hash"] != erasedHash {
		t.Error("an event of a new relation was blanked")
	}
	ahead := storedBut(t, one{Hash: erasedHash, ErasedAt: at.Add(2 * time.Second)}, "event_log",
		eventRecord(`{"id":"0193486f-5a00-8abc-9def-0123456789ab","type":"opened","time":"2099-01-01T00:00:00Z","received_at":"2026-11-20T10:00:01Z","provider":"p","source":"s","recipient_hash":"`+erasedHash+`"}`))[0]
	if ahead["recipient_hash"] != "" {
		t.Error("an event of a clock that is ahead kept its person")
	}
}

func TestBlock_KeepsSuppressionsOfTheErasedWithoutAddress(t *testing.T) {
	t.Parallel()
	rec := &kgo.Record{Topic: "email.suppressions", Key: []byte(erasedHash), Value: []byte(`{"recipient_hash":"` + erasedHash +
		`","address":"ana@example.com","entries":[{"scope":"account","reason":"manual","added_at":"2026-01-01T00:00:00Z","note":"ana@example.com called"}],"updated_at":"2026-01-01T00:00:00Z"}`)}
	row := storedBut(t, one{Hash: erasedHash, ErasedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, "suppression_log", rec)[0]
	if row["address"] != "" || row["recipient_hash"] != erasedHash {
		t.Errorf("row has address %q and hash %q", row["address"], row["recipient_hash"])
	}
	if diff := cmp.Diff([]string{""}, row["entries.note"]); diff != "" {
		t.Error(diff)
	}
}

func TestBlock_DropsDeadLettersOfTheErased(t *testing.T) {
	t.Parallel()
	recs := []*kgo.Record{
		{Topic: "email.dead-letter", Value: []byte(`{"id":"a","time":"2026-01-01T00:00:00Z","service":"ingress","reason":"r","detail":"d","bytes":"eA=="}`)},
		{Topic: "email.dead-letter", Value: []byte(`{"id":"b","time":"2026-01-01T00:00:00Z","service":"ingress","reason":"r","detail":"d","bytes":"eA=="}`)},
	}
	rows := storedBut(t, one{DeadLetters: []string{"a"}}, "dead_letter_log", recs...)
	if len(rows) != 1 || rows[0]["id"] != "b" {
		t.Errorf("rows are %v, want b alone", rows)
	}
}

// A view of people that lacks the setting shows a forgotten person until the parts
// are rewritten.
func TestSchema_ViewsOfPeopleHideAtOnce(t *testing.T) {
	t.Parallel()
	paths, err := fs.Glob(sqlFiles, "sql/schema/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	latest := map[string]string{}
	for _, path := range paths {
		text, err := fs.ReadFile(sqlFiles, path)
		if err != nil {
			t.Fatal(err)
		}
		for statement := range strings.SplitSeq(string(text), ";\n") {
			if m := viewForm.FindStringSubmatch(statement); m != nil {
				latest[m[1]] = statement
			}
		}
	}
	for _, view := range []string{"events", "messages", "person_messages", "engagement", "suppressions", "dead_letters"} {
		if !strings.Contains(latest[view], "apply_mutations_on_fly = 1") {
			t.Errorf("the latest definition of view %s lacks apply_mutations_on_fly = 1", view)
		}
	}
}

var viewForm = regexp.MustCompile(`CREATE (?:OR REPLACE )?VIEW (?:IF NOT EXISTS )?(\w+) `)
