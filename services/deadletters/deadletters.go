// Package deadletters works on what services gave up: lists it, shows it, makes events
// of it with the present parser, or closes it with a note.
//
// ClickHouse answers what there is, in the view dead_letters; what became of a dead
// letter is a record in Kafka beside it, which analytics stores. Work on many of them is
// an operation, which Kafka knows, too: any process sees how far it is and may ask to
// stop it. An operation that was cut short is started once more without harm: events
// have the ids they had, and what is no longer open is passed over. It decides nothing
// by itself: a person asks for every operation.
package deadletters

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

var (
	//go:embed sql/groups.sql
	groupsSQL string
	//go:embed sql/letters.sql
	lettersSQL string
	//go:embed sql/closed.sql
	closedSQL string
	//go:embed sql/states.sql
	statesSQL string
)

const (
	// pageLetters is how many dead letters are read at once: some MiB of bytes.
	pageLetters = 200
	// ListMax is the most that one list has.
	ListMax = 10_000
	// IDsMax is the most ids of one request.
	IDsMax = 1000
	// NoteBytesMax bounds a note, which is stored with every dead letter.
	NoteBytesMax = 1000
	// wordBytesMax bounds a word of a filter.
	wordBytesMax = 256
	// idBytes is the length of an id, hexadecimal.
	idBytes = 32
)

// StateOpen is the state of a dead letter of which nothing became yet.
const StateOpen = "open"

// Filter is which dead letters; an empty field means all.
type Filter schemas.DeadLetterFilter

// Narrow says whether f names anything: a filter that does not means everything.
func (f Filter) Narrow() bool {
	return len(f.IDs) > 0 || f.Service != "" || f.Reason != "" || f.Provider != "" || f.Source != "" || !f.From.IsZero() || !f.To.IsZero()
}

// Validate reports every fault to p.
func (f Filter) Validate(p *config.Problems) {
	p.Check(len(f.IDs) <= IDsMax, "id", "%d of them, want at most %d", len(f.IDs), IDsMax)
	for _, id := range f.IDs {
		p.Check(isID(id), "id", "%q is not 32 hexadecimal digits", id)
	}
	for _, word := range [][2]string{{"service", f.Service}, {"reason", f.Reason}, {"provider", f.Provider}, {"source", f.Source}} {
		p.Check(len(word[1]) <= wordBytesMax, word[0], "has more than %d bytes", wordBytesMax)
	}
	p.Check(slices.Contains([]string{"", StateOpen, "redriven", "discarded"}, f.State), "state", "%q is not one of open, redriven, discarded", f.State)
	p.Check(f.From.IsZero() || f.To.IsZero() || f.From.Before(f.To), "from", "is not before to")
}

func isID(id string) bool {
	return len(id) == idBytes && !strings.ContainsFunc(id, func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'f') })
}

func (f Filter) args(limit int, after string) []any {
	from, to := f.From, f.To
	if from.IsZero() {
		from = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if to.IsZero() {
		to = time.Date(2299, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	all := "1"
	if len(f.IDs) > 0 {
		all = "0"
	}
	const form = "2006-01-02 15:04:05.000"
	return []any{
		clickhouse.Arg("all", all), clickhouse.Arg("ids", list(f.IDs)),
		clickhouse.Arg("service", f.Service), clickhouse.Arg("reason", f.Reason), clickhouse.Arg("provider", f.Provider),
		clickhouse.Arg("source", f.Source), clickhouse.Arg("state", f.State),
		clickhouse.Arg("from", from.UTC().Format(form)), clickhouse.Arg("to", to.UTC().Format(form)),
		clickhouse.Arg("limit", fmt.Sprint(limit)), clickhouse.Arg("after", after),
	}
}

// list is ids, which are hexadecimal digits, as an array of ClickHouse.
func list(ids []string) string {
	if len(ids) == 0 {
		return "[]"
	}
	return "['" + strings.Join(ids, "','") + "']"
}

// Group is the dead letters of one reason.
type Group struct {
	Service  string    `ch:"service" json:"service"`
	Reason   string    `ch:"reason" json:"reason"`
	Provider string    `ch:"provider" json:"provider"`
	Source   string    `ch:"source" json:"source"`
	State    string    `ch:"state" json:"state"`
	Letters  uint64    `ch:"letters" json:"letters"`
	Oldest   time.Time `ch:"oldest" json:"oldest"`
	Newest   time.Time `ch:"newest" json:"newest"`
	Detail   string    `ch:"detail" json:"detail"` // of one of them
}

// Letter is one dead letter.
type Letter struct {
	ID         string     `ch:"id" json:"id"`
	Time       time.Time  `ch:"time" json:"time"`
	Service    string     `ch:"service" json:"service"`
	Reason     string     `ch:"reason" json:"reason"`
	Detail     string     `ch:"detail" json:"detail"`
	Provider   string     `ch:"provider" json:"provider"`
	Source     string     `ch:"source" json:"source"`
	Origin     string     `ch:"origin" json:"origin"`
	Bytes      string     `ch:"bytes" json:"bytes"` // without what may name a person, unless it was asked for
	ReceivedAt *time.Time `ch:"received_at" json:"received_at"`
	State      string     `ch:"state" json:"state"`
	StateAt    *time.Time `ch:"state_at" json:"state_at"`
	Operation  string     `ch:"operation" json:"operation"`
	Note       string     `ch:"note" json:"note"`
}

// Letters are all dead letters of a database.
type Letters struct {
	store *clickhouse.Client
}

// New returns those that store has.
func New(store *clickhouse.Client) *Letters { return &Letters{store: store} }

// Groups returns how many there are of each reason, at most ListMax of these.
func (l *Letters) Groups(ctx context.Context, f Filter) ([]Group, error) {
	groups := []Group{}
	if err := l.store.Select(ctx, &groups, groupsSQL, f.args(ListMax, "")...); err != nil {
		return nil, fmt.Errorf("count dead letters: %w", err)
	}
	return groups, nil
}

// List returns at most limit of them behind the id after, their bytes redacted.
func (l *Letters) List(ctx context.Context, f Filter, after string, limit int) ([]Letter, error) {
	letters := []Letter{}
	if err := l.store.Select(ctx, &letters, lettersSQL, f.args(limit, after)...); err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	for i := range letters {
		letters[i].Bytes = Redact([]byte(letters[i].Bytes))
	}
	return letters, nil
}

// Get returns one, its bytes redacted unless raw; false when there is none.
func (l *Letters) Get(ctx context.Context, id string, raw bool) (Letter, bool, error) {
	var letters []Letter
	if err := l.store.Select(ctx, &letters, lettersSQL, Filter{IDs: []string{id}}.args(1, "")...); err != nil {
		return Letter{}, false, fmt.Errorf("read dead letter: %w", err)
	}
	if len(letters) == 0 {
		return Letter{}, false, nil
	}
	if !raw {
		letters[0].Bytes = Redact([]byte(letters[0].Bytes))
	}
	return letters[0], true, nil
}

// Count returns how many dead letters f selects.
func (l *Letters) Count(ctx context.Context, f Filter) (n int64, err error) {
	groups, err := l.Groups(ctx, f)
	for _, g := range groups {
		n += int64(g.Letters)
	}
	return n, err
}

// ErrNoLetter says that an id is of no dead letter.
var ErrNoLetter = errors.New("there is no dead letter of this id")

// ErrNotOpen says that nothing is left to do of the dead letters that were named.
var ErrNotOpen = errors.New("only open dead letters can be redriven or discarded")

// named checks the ids of a request, of whose dead letters found are open: each has to be
// of a dead letter, and one of these open. Those that are closed are passed over, so that
// the same request goes on after a run that was cut.
func (l *Letters) named(ctx context.Context, ids []string, found int64) error {
	var rows []struct {
		ID    string `ch:"id"`
		State string `ch:"state"`
	}
	if err := l.store.Select(ctx, &rows, statesSQL, clickhouse.Arg("ids", list(ids))); err != nil {
		return fmt.Errorf("read states of dead letters: %w", err)
	}
	states := map[string]string{}
	for _, row := range rows {
		states[row.ID] = row.State
	}
	for _, id := range ids {
		if states[id] == "" {
			return fmt.Errorf("dead letter %s: %w", id, ErrNoLetter)
		}
	}
	if found > 0 {
		return nil
	}
	for _, id := range ids {
		if states[id] == StateOpen {
			return fmt.Errorf("dead letter %s is open, but not what else is asked for: %w", id, ErrNotOpen)
		}
	}
	return fmt.Errorf("dead letter %s is %s: %w", ids[0], states[ids[0]], ErrNotOpen)
}

// settlePoll and settleMax space and bound the wait for ClickHouse after an operation.
const (
	settlePoll = 100 * time.Millisecond
	settleMax  = 15 * time.Second
)

// settle waits until ClickHouse shows that the operation closed n dead letters, so that
// the next operation does not find them open; but not for ever, since analytics may be
// behind, and a repeat does no harm.
func (l *Letters) settle(ctx context.Context, operation string, n int64) error {
	for until := time.Now().Add(settleMax); ; {
		var rows []struct {
			Closed uint64 `ch:"closed"`
		}
		if err := l.store.Select(ctx, &rows, closedSQL, clickhouse.Arg("operation", operation)); err != nil {
			return fmt.Errorf("read what operation %s closed: %w", operation, err)
		}
		if len(rows) > 0 && int64(rows[0].Closed) >= n || time.Now().After(until) {
			return nil
		}
		if err := lifecycle.Sleep(ctx, settlePoll); err != nil {
			return err
		}
	}
}

// each gives use all open ones of f, page by page.
func (l *Letters) each(ctx context.Context, f Filter, use func([]Letter) error) error {
	f.State = StateOpen
	for after := ""; ; {
		var letters []Letter
		if err := l.store.Select(ctx, &letters, lettersSQL, f.args(pageLetters, after)...); err != nil {
			return fmt.Errorf("read dead letters after %q: %w", after, err)
		}
		if len(letters) == 0 {
			return nil
		}
		if err := use(letters); err != nil {
			return err
		}
		after = letters[len(letters)-1].ID
	}
}
