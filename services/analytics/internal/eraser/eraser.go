// Package eraser takes people who have to be forgotten out of ClickHouse, request
// by request, and notes in erasure_log what was done.
//
// It keeps no state: what is to do follows from the erasures and from erasure_log,
// so it may be killed at any time, and two of them do the same work twice without
// harm. A request is over when a look finds nothing on disk after every insert that
// began before the erasure was known has ended.
package eraser

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/erasure/tables"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/requests.sql
var requestsSQL string

//go:embed sql/note.sql
var noteSQL string

// Options say what an eraser works with.
type Options struct {
	Client *clickhouse.Client
	Config clickhouse.Config
	// Settle is for how long after an erasure an insert may still bring a row of its
	// person: what a writer may know late, and what an insert may take.
	Settle time.Duration
}

// Eraser works on requests. It is not safe for concurrent use.
type Eraser struct {
	opt Options
	// given are the tables of a request for which ClickHouse had the statement from
	// this process.
	given map[string]map[string]bool
	// over are the requests that need no look any more.
	over map[string]bool
}

// New returns an eraser with opt.
func New(opt Options) *Eraser {
	return &Eraser{opt: opt, given: map[string]map[string]bool{}, over: map[string]bool{}}
}

// request is all people who were forgotten together.
type request struct {
	id, reason string
	people     tables.People
	noted      note
}

// note is a row of erasure_log.
type note struct {
	Request    string            `ch:"request"`
	Rows       map[string]uint64 `ch:"rows"`
	HiddenAt   *time.Time        `ch:"hidden_at"`
	ErasedAt   *time.Time        `ch:"erased_at"`
	VerifiedAt *time.Time        `ch:"verified_at"`
}

// Pass looks at every request of erased that is not over and does what is to do now.
// It returns how many are not over.
func (e *Eraser) Pass(ctx context.Context, erased []schemas.Erasure) (int, error) {
	open := e.open(erased)
	if len(open) == 0 {
		return 0, nil
	}
	if err := e.recall(ctx, open); err != nil {
		return len(open), err
	}
	found, err := tables.Find(ctx, e.opt.Client, e.opt.Config)
	if err != nil {
		return len(open), err
	}
	unfinished, err := found.Unfinished(ctx)
	if err != nil {
		return len(open), err
	}
	masked, err := unmask(ctx, found, unfinished)
	if err != nil {
		return len(open), err
	}
	for _, id := range slices.Sorted(maps.Keys(open)) {
		if r := open[id]; r.noted.VerifiedAt != nil {
			e.over[id] = true
		} else if err := e.work(ctx, r, found, onDisk{unfinished, masked}); err != nil {
			return len(open), fmt.Errorf("erase request %s: %w", id, err)
		}
		if e.over[id] {
			delete(open, id)
			delete(e.given, id)
		}
	}
	return len(open), nil
}

// onDisk is what a statement has done and the disk has not, by table.
type onDisk struct{ unfinished, masked map[string]uint64 }

// unmask takes rows off the disk that were deleted by others, such as a replay: they
// may be of anybody. It returns the tables that have any.
func unmask(ctx context.Context, found *tables.Tables, unfinished map[string]uint64) (map[string]uint64, error) {
	masked, err := found.Masked(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(masked)) {
		if unfinished[name] > 0 {
			continue
		}
		if err := found.Unmask(ctx, name); err != nil {
			return nil, err
		}
	}
	return masked, nil
}

// open gathers the people of each request that is not over.
func (e *Eraser) open(erased []schemas.Erasure) map[string]*request {
	open := map[string]*request{}
	for _, one := range erased {
		if e.over[one.Request] {
			continue
		}
		r := open[one.Request]
		if r == nil {
			r = &request{id: one.Request, reason: one.Reason}
			open[one.Request] = r
		}
		r.people.Hashes = append(r.people.Hashes, one.Hash)
		r.people.Letters = append(r.people.Letters, one.DeadLetters...)
		if one.ErasedAt.After(r.people.Until) {
			r.people.Until = one.ErasedAt
		}
	}
	return open
}

// recall reads what was noted of requests.
func (e *Eraser) recall(ctx context.Context, open map[string]*request) error {
	var notes []note
	if err := e.opt.Client.Select(ctx, &notes, requestsSQL); err != nil {
		return fmt.Errorf("read erasure log: %w", err)
	}
	for _, n := range notes {
		if r := open[n.Request]; r != nil {
			r.noted = n
		}
	}
	return nil
}

// work does for r what is to do now, and notes it where something changed.
func (e *Eraser) work(ctx context.Context, r *request, found *tables.Tables, disk onDisk) error {
	began := time.Now()
	counts, err := found.Count(ctx, r.people)
	if err != nil {
		return err
	}
	before, given := r.noted, e.given[r.id]
	if given == nil {
		given = map[string]bool{}
		e.given[r.id] = given
	}
	rows, left := maps.Clone(r.noted.Rows), uint64(0)
	if rows == nil {
		rows = map[string]uint64{}
	}
	for _, name := range found.Names() {
		left += counts[name]
		if counts[name] == 0 || given[name] && disk.unfinished[name] > 0 {
			continue
		}
		if err := found.Erase(ctx, name, r.people); err != nil {
			return err
		}
		given[name] = true
		rows[name] = max(rows[name], counts[name])
	}
	left += uint64(len(disk.masked)) // at least as many rows, of whomever
	now := time.Now()
	if r.noted.HiddenAt == nil {
		r.noted.HiddenAt = &now
	}
	if left == 0 && r.noted.ErasedAt == nil {
		r.noted.ErasedAt = &now
	}
	if left == 0 && began.Sub(r.people.Until) > e.opt.Settle {
		r.noted.VerifiedAt = &now
	}
	if maps.Equal(rows, before.Rows) && before.HiddenAt != nil && before.ErasedAt == r.noted.ErasedAt && r.noted.VerifiedAt == nil {
		return nil
	}
	r.noted.Rows = rows
	if err := e.note(ctx, r, left); err != nil {
		return err
	}
	e.over[r.id] = r.noted.VerifiedAt != nil
	return nil
}

func (e *Eraser) note(ctx context.Context, r *request, left uint64) error {
	names := slices.Sorted(maps.Keys(r.noted.Rows))
	numbers := make([]string, len(names))
	for i, name := range names {
		numbers[i] = strconv.FormatUint(r.noted.Rows[name], 10)
	}
	arg := clickhouse.Arg
	err := e.opt.Client.Exec(ctx, noteSQL,
		arg("request", r.id), arg("requested_at", strconv.FormatInt(r.people.Until.UnixMilli(), 10)), arg("reason", r.reason),
		arg("people", strconv.Itoa(len(r.people.Hashes))), arg("left", strconv.FormatUint(left, 10)),
		arg("tables", clickhouse.Words(names)), arg("rows", "["+strings.Join(numbers, ",")+"]"),
		arg("hidden_at", millis(r.noted.HiddenAt)), arg("erased_at", millis(r.noted.ErasedAt)), arg("verified_at", millis(r.noted.VerifiedAt)))
	if err != nil {
		return fmt.Errorf("write erasure log: %w", err)
	}
	return nil
}

// millis renders t as Unix milliseconds, 0 for none.
func millis(t *time.Time) string {
	if t == nil {
		return "0"
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}
