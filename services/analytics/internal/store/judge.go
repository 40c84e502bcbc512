package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/turn"
)

//go:embed sql/query/hours_to_judge.sql
var hoursToJudgeSQL string

//go:embed sql/query/judge_hour.sql
var judgeHourSQL string

//go:embed sql/query/hour_judged.sql
var hourJudgedSQL string

// judgeRules is the version of the rules of judge_hour.sql. With another one all
// hours are judged once more.
const judgeRules = 2

// judgesMax bounds the hours of one Judge, so that what is new is not kept waiting by a
// long past.
const judgesMax = 50

// Judging is how Judge works.
type Judging struct {
	// Rest is after how long without a new row an hour counts for the one before it.
	Rest time.Duration
	// Lasts is the longest that the server may work on one hour: the timeout of a query.
	Lasts time.Duration
}

// Judge finds opens and clicks of machines by what is known of their messages only
// after the fact, in the hours that have new rows, and returns how long that
// took. It may be repeated, and run twice at once: the same event is then written
// twice, and counts once. It gives way to a correction of stored events. An hour that
// cannot be judged keeps no other one waiting.
func Judge(ctx context.Context, client *clickhouse.Client, how Judging) (took time.Duration, err error) {
	var hours []hourRows
	rules := clickhouse.Arg("rules", strconv.Itoa(judgeRules))
	rest := clickhouse.Arg("rest", strconv.Itoa(int(how.Rest/time.Second)))
	if err := client.Select(ctx, &hours, hoursToJudgeSQL, rules, rest, clickhouse.Arg("limit", strconv.Itoa(judgesMax))); err != nil {
		return 0, fmt.Errorf("find hours to judge: %w", err)
	}
	if len(hours) == 0 {
		return 0, nil
	}
	// Rows are counted before an insert has reached the messages, which say when they
	// were delivered.
	if err := lifecycle.Sleep(ctx, settle); err != nil {
		return 0, err
	}
	began := time.Now()
	defer func() { took = time.Since(began) }()
	mine := turn.New(client, turn.Judging)
	var faults []error
	for _, h := range hours {
		alone, err := mine.Take(ctx, how.Lasts)
		if err != nil {
			return 0, errors.Join(append(faults, err)...)
		}
		if !alone {
			break
		}
		if err := judgeHour(ctx, client, h, rules); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 { // of which one may still run at the server: the turn ends by itself
		return 0, errors.Join(faults...)
	}
	return 0, mine.End(ctx)
}

func judgeHour(ctx context.Context, client *clickhouse.Client, h hourRows, rules any) error {
	at := clickhouse.Arg("at", strconv.FormatInt(time.Now().UnixNano(), 10))
	if err := client.Exec(ctx, judgeHourSQL, h.arg(), at); err != nil {
		return fmt.Errorf("judge hour %s: %w", h.Hour.UTC().Format(timeForm), err)
	}
	if err := client.Exec(ctx, hourJudgedSQL, h.arg(), rules, clickhouse.Arg("rows", strconv.FormatUint(h.Rows, 10))); err != nil {
		return fmt.Errorf("note judged hour %s: %w", h.Hour.UTC().Format(timeForm), err)
	}
	return nil
}
