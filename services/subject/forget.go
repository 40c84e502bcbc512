package subject

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/erasure"
	"github.com/mailstream/mailstream/services/internal/erasure/tables"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

//go:embed sql/progress.sql
var progressSQL string

const (
	// AddressesMax bounds the people of one request: each dead letter is searched for
	// each of them.
	AddressesMax = 1_000

	// lettersMax bounds the dead letters of one person, whose ids are in one record.
	lettersMax = 10_000
)

// ErrTooMany says that one request cannot hold it.
var ErrTooMany = errors.New("too many for one request")

// Forget says who has to be forgotten.
type Forget struct {
	Addresses []string
	// Reason is kept with the erasure, without addresses.
	Reason string
	// DryRun looks and changes nothing.
	DryRun bool
	// Wait is for how long Run waits until nothing is left in ClickHouse.
	Wait time.Duration
	// Note, when not nil, is called once the request is valid, before anything is looked
	// for: it writes to the audit who asks. Its error ends the request.
	Note func(context.Context) error
	// Progress, when not nil, is called whenever something changed.
	Progress func(Forgotten)
}

// Forgotten is what became of a request.
type Forgotten struct {
	// Request is its id, "" when nothing had to be done.
	Request string `json:"request,omitempty"`
	People  int    `json:"people"`
	// Before is how many of the people were forgotten before, and had nothing new.
	Before int `json:"already_forgotten"`
	// Earlier are the ids of the requests of those. Run waits for them, too: the process
	// that wrote one may have been killed, and the work on it goes on without.
	Earlier []string `json:"earlier_requests,omitempty"`
	DryRun  bool     `json:"dry_run"`
	// Rows are those found in ClickHouse, by table.
	Rows map[string]uint64 `json:"rows"`
	// Left is how many of them the latest look still found on disk.
	Left       uint64     `json:"left"`
	HiddenAt   *time.Time `json:"hidden_at,omitempty"`
	ErasedAt   *time.Time `json:"erased_at,omitempty"`
	VerifiedAt *time.Time `json:"verified_at,omitempty"`
}

// Run writes the erasures and waits until nothing is left in ClickHouse. It may be
// repeated and killed at any time: people who were forgotten and have nothing new
// are passed over, and what was written is carried out by analytics and suppression.
func (f Forget) Run(ctx context.Context, d Deps) (Forgotten, error) {
	people, err := d.people(f.Addresses)
	if err != nil {
		return Forgotten{}, err
	}
	if err := checkReason(f.Reason); err != nil {
		return Forgotten{}, err
	}
	if len(people) > AddressesMax {
		return Forgotten{}, fmt.Errorf("%w: %d addresses, the limit is %d", ErrTooMany, len(people), AddressesMax)
	}
	if f.Note != nil {
		if err := f.Note(ctx); err != nil {
			return Forgotten{}, err
		}
	}
	ledger, stop, err := erasure.Follow(ctx, d.Kafka, d.Log)
	if err != nil {
		return Forgotten{}, err
	}
	defer stop()
	client, err := clickhouse.Open(d.ClickHouse, d.Log, telemetry.NewRegistry())
	if err != nil {
		return Forgotten{}, err
	}
	defer client.Close() // nothing is buffered in it
	plan := &plan{now: time.Now().UTC().Truncate(time.Millisecond), ledger: ledger, people: people, letters: make([][]string, len(people)), earlier: map[string]bool{}}
	if err := plan.lookAtLetters(ctx, d, client); err != nil {
		return Forgotten{}, err
	}
	if err := plan.look(ctx, client, d.ClickHouse); err != nil {
		return Forgotten{}, err
	}
	out := Forgotten{People: len(people), Before: plan.before, Earlier: slices.Sorted(maps.Keys(plan.earlier)), DryRun: f.DryRun, Rows: plan.rows}
	erasures, err := plan.erasures(f.Reason)
	if err != nil || f.DryRun {
		return out, err
	}
	if len(erasures) > 0 {
		out.Request = erasures[0].Request
		if err := d.publish(ctx, erasures); err != nil {
			return out, err
		}
	}
	err = f.await(ctx, client, &out, plan) // which fills out, so before it is returned
	return out, err
}

// plan is what has to be done.
type plan struct {
	now     time.Time
	ledger  *erasure.Ledger
	people  []person
	letters [][]string // ids of dead letters of each person that are not forgotten yet
	rows    map[string]uint64
	before  int
	earlier map[string]bool // requests of those before
	due     []int           // which people have to be forgotten
}

// lookAtLetters finds the dead letters of people, in ClickHouse and on the way there.
func (p *plan) lookAtLetters(ctx context.Context, d Deps, client *clickhouse.Client) error {
	note := func(i int, id string) {
		if !p.ledger.HasLetter(id) && !slices.Contains(p.letters[i], id) {
			p.letters[i] = append(p.letters[i], id)
		}
	}
	known, err := eachLetter(ctx, client, p.people, func(i int, d deadLetter) { note(i, d.ID) })
	if err != nil {
		return fmt.Errorf("search dead letters: %w", err)
	}
	return d.eachRecord(ctx, p.people, known, note)
}

// look finds who has something that is not forgotten yet.
func (p *plan) look(ctx context.Context, client *clickhouse.Client, cfg clickhouse.Config) error {
	found, err := tables.Find(ctx, client, cfg)
	if err != nil {
		return err
	}
	p.rows = map[string]uint64{}
	first := tables.People{Until: p.now} // who was never forgotten
	before := map[time.Time][]int{}      // who was, by when
	for i, one := range p.people {
		if known, ok := p.ledger.Of(one.hashes[0]); ok {
			before[known.ErasedAt] = append(before[known.ErasedAt], i)
			continue
		}
		p.add(&first, i)
		p.due = append(p.due, i)
	}
	for since, members := range before {
		if err := p.lookSince(ctx, found, since, members); err != nil {
			return err
		}
	}
	slices.Sort(p.due)
	if len(first.Hashes) > 0 {
		_, err = p.count(ctx, found, first)
	}
	return err
}

// lookSince finds who of the members, who were forgotten at one time, has something new.
// Most often none of them has, which takes one query for all.
func (p *plan) lookSince(ctx context.Context, found *tables.Tables, since time.Time, members []int) error {
	all := tables.People{Since: since, Until: p.now}
	for _, i := range members {
		p.add(&all, i)
	}
	counts, err := found.Count(ctx, all)
	if err != nil {
		return err
	}
	some := slices.ContainsFunc(slices.Collect(maps.Values(counts)), func(n uint64) bool { return n > 0 })
	for _, i := range members {
		rows := uint64(0)
		if some {
			one := tables.People{Since: since, Until: p.now}
			p.add(&one, i)
			if rows, err = p.count(ctx, found, one); err != nil {
				return err
			}
		}
		if rows > 0 || len(p.letters[i]) > 0 {
			p.due = append(p.due, i)
		} else {
			p.before++
			known, _ := p.ledger.Of(p.people[i].hashes[0])
			p.earlier[known.Request] = true
		}
	}
	return nil
}

// add puts what is looked for of a person to people.
func (p *plan) add(people *tables.People, i int) {
	people.Hashes = append(people.Hashes, p.people[i].hashes...)
	people.Letters = append(people.Letters, p.letters[i]...)
}

// count adds what is found of people, and returns how many rows that is.
func (p *plan) count(ctx context.Context, found *tables.Tables, people tables.People) (sum uint64, err error) {
	counts, err := found.Count(ctx, people)
	for name, n := range counts {
		p.rows[name] += n
		sum += n
	}
	return sum, err
}

// erasures returns a record for each hash that is due.
func (p *plan) erasures(reason string) ([]schemas.Erasure, error) {
	var out []schemas.Erasure
	request := uuid.NewString()
	for _, i := range p.due {
		for _, hash := range p.people[i].hashes {
			known, _ := p.ledger.Of(hash)
			letters := slices.Concat(known.DeadLetters, p.letters[i]) // the record replaces the one of before
			if len(letters) > lettersMax {
				return nil, fmt.Errorf("%w: %d dead letters of one person, the limit is %d", ErrTooMany, len(letters), lettersMax)
			}
			out = append(out, schemas.Erasure{Hash: hash, ErasedAt: p.now, Request: request, Reason: reason, DeadLetters: letters})
		}
	}
	return out, nil
}

// publish makes erasures durable.
func (d Deps) publish(ctx context.Context, erasures []schemas.Erasure) error {
	topic := schemas.ErasuresTopic(d.Kafka.TopicPrefix)
	recs := make([]*kgo.Record, len(erasures))
	for i, e := range erasures {
		var err error
		if recs[i], err = erasure.Record(topic, e); err != nil {
			return err
		}
	}
	producer, err := produce.New(d.Kafka, produce.Config{Name: "forget"}, d.Log, telemetry.NewRegistry())
	if err != nil {
		return err
	}
	if err := producer.Publish(ctx, recs...); err != nil {
		return errors.Join(fmt.Errorf("publish %d erasures: %w", len(recs), err), producer.Close(ctx))
	}
	return producer.Close(ctx)
}

// lookEvery spaces the looks at how far a request is.
const lookEvery = 250 * time.Millisecond

// ErrUnfinished says that a request goes on after the wait for it has ended.
var ErrUnfinished = errors.New("the people are not erased yet: analytics goes on with it, see erasure_log")

// requested returns the request by which the people are forgotten: the one that is given, or
// that of somebody who asked for all of the same people at the same time, and came later.
func (p *plan) requested(request string) string {
	other := request
	for _, i := range p.due {
		switch known, ok := p.ledger.Of(p.people[i].hashes[0]); {
		case !ok || known.ErasedAt.Before(p.now): // ours is on its way
		case known.Request == request:
			return request
		default:
			other = known.Request
		}
	}
	return other
}

// await waits until nothing is left of the people in ClickHouse.
func (f Forget) await(ctx context.Context, client *clickhouse.Client, out *Forgotten, plan *plan) error {
	for until := time.Now().Add(f.Wait); out.ErasedAt == nil && time.Now().Before(until); {
		out.Request = plan.requested(out.Request)
		requests := slices.Clone(out.Earlier)
		if out.Request != "" && !slices.Contains(requests, out.Request) {
			requests = append(requests, out.Request)
		}
		var rows []struct {
			Requests   uint64     `ch:"requests"`
			Left       uint64     `ch:"left"`
			HiddenAt   *time.Time `ch:"hidden_at"`
			ErasedAt   *time.Time `ch:"erased_at"`
			VerifiedAt *time.Time `ch:"verified_at"`
		}
		if err := client.Select(ctx, &rows, progressSQL, clickhouse.Arg("requests", clickhouse.Words(requests))); err != nil {
			return fmt.Errorf("look for progress: %w; the erasure goes on: give the same command to wait for its end", err)
		}
		for _, r := range rows {
			if r.Requests < uint64(len(requests)) {
				continue // analytics does not know all of them yet
			}
			changed := out.HiddenAt == nil && r.HiddenAt != nil || r.ErasedAt != nil
			out.Left, out.HiddenAt, out.ErasedAt, out.VerifiedAt = r.Left, r.HiddenAt, r.ErasedAt, r.VerifiedAt
			if changed && f.Progress != nil {
				f.Progress(*out)
			}
		}
		if out.ErasedAt == nil {
			if err := lifecycle.Sleep(ctx, lookEvery); err != nil {
				return err
			}
		}
	}
	if out.ErasedAt == nil && f.Wait > 0 {
		return ErrUnfinished
	}
	return nil
}
