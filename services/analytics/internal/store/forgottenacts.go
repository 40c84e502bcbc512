package store

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/insert/forgotten_acts.sql
var insertForgottenActsSQL string

//go:embed sql/query/judged_acts.sql
var judgedActsSQL string

// Asker answers queries. Kept by clickhouse.Client.
type Asker interface {
	Select(ctx context.Context, dest any, query string, args ...any) error
}

// forgottenActs is a block of event_log with opens and clicks that are blanked. The row
// that comes last is the event, and Judge finds no message of these any more: what was
// judged of them is looked up, and stored with them once more.
type forgottenActs struct {
	*events
	before *flags
	reason *words
	judged proto.ColUInt64
	cols   []clickhouse.Column
}

func newForgottenActs() *forgottenActs {
	a := &forgottenActs{events: newEvents(nil, nil), before: new(flags), reason: newWords()}
	a.cols = append(slices.Clone(a.events.cols),
		clickhouse.Column{Name: "machine_before", Data: a.before}, clickhouse.Column{Name: "machine_reason", Data: a.reason},
		clickhouse.Column{Name: "judged", Data: &a.judged})
	return a
}

func (a *forgottenActs) statement() string            { return insertForgottenActsSQL }
func (a *forgottenActs) columns() []clickhouse.Column { return a.cols }

// isAct says whether e is of a type that is judged.
func (e *event) isAct() bool {
	return string(e.Type) == string(schemas.Opened) || string(e.Type) == string(schemas.Clicked)
}

// unjudged adds to the row that was added last that nothing was judged.
func (a *forgottenActs) unjudged() {
	a.before.Append(false, false)
	a.reason.Append(nil)
	a.judged = append(a.judged, 0)
}

// judgement is the latest one of an act. An empty verdict says that one was withdrawn.
type judgement struct {
	Act     string `ch:"act"`
	Verdict string `ch:"verdict"`
	At      uint64 `ch:"judged_at"`
}

// judgedActsMax bounds the acts of one query, of some 70 bytes each.
const judgedActsMax = 1_000

// Recall looks up what was judged of the forgotten acts in blocks, once before they are
// inserted. Where there are none, as a rule, it asks nothing.
func Recall(ctx context.Context, asker Asker, blocks ...*Block) error {
	for _, b := range blocks {
		if err := b.acts.recall(ctx, asker); err != nil {
			return fmt.Errorf("look up judgements of forgotten acts: %w", err)
		}
	}
	return nil
}

func (a *forgottenActs) recall(ctx context.Context, asker Asker) error {
	judged := map[string]judgement{}
	for from := 0; from < len(a.id); from += judgedActsMax {
		found, err := a.find(ctx, asker, from, min(from+judgedActsMax, len(a.id)))
		if err != nil {
			return err
		}
		for _, j := range found {
			judged[j.Act] = j
		}
	}
	a.reason.Reset()
	for i, id := range a.id {
		j := judged[id.String()]
		a.reason.Append([]byte(j.Verdict))
		a.judged[i] = j.At
		if j.Verdict != "" { // as judge_hour.sql writes it
			a.before.nulls[i], a.before.values[i] = a.machine.nulls[i], a.machine.values[i]
			a.machine.nulls[i], a.machine.values[i] = 0, true
		}
	}
	return nil
}

// find asks for the judgements of the rows in [from, to).
func (a *forgottenActs) find(ctx context.Context, asker Asker, from, to int) (found []judgement, err error) {
	var ids, times []string
	for i := from; i < to; i++ {
		ids = append(ids, a.id[i].String())
		times = append(times, time.UnixMilli(a.time.ms[i]).UTC().Format("2006-01-02 15:04:05.000"))
	}
	sources := slices.Collect(maps.Keys(a.source.index))
	err = asker.Select(ctx, &found, judgedActsSQL, clickhouse.Arg("ids", clickhouse.Words(ids)),
		clickhouse.Arg("times", clickhouse.Words(times)), clickhouse.Arg("sources", clickhouse.Words(sources)))
	return found, err
}
