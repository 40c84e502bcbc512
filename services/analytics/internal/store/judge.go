package store

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/query/hours_to_judge.sql
var hoursToJudgeSQL string

//go:embed sql/query/judge_hour.sql
var judgeHourSQL string

//go:embed sql/query/hour_judged.sql
var hourJudgedSQL string

// judgeRules is the version of the rules of judge_hour.sql. With another one all
// hours are judged once more.
const judgeRules = 1

// judgesMax bounds the hours of one Judge, so that what is new is not kept waiting by a
// long past.
const judgesMax = 50

// Judge finds opens and clicks of machines by what is known of their messages only
// after the fact, in the hours that have new rows, and returns how many hours it
// looked at. It may be repeated, and run twice at once: the same event is then written
// twice, and counts once.
func Judge(ctx context.Context, client *clickhouse.Client) (int, error) {
	var hours []hourRows
	rules := clickhouse.Arg("rules", strconv.Itoa(judgeRules))
	if err := client.Select(ctx, &hours, hoursToJudgeSQL, rules, clickhouse.Arg("limit", strconv.Itoa(judgesMax))); err != nil {
		return 0, fmt.Errorf("find hours to judge: %w", err)
	}
	for i, h := range hours {
		at := clickhouse.Arg("at", strconv.FormatInt(time.Now().UnixNano(), 10))
		if err := client.Exec(ctx, judgeHourSQL, h.arg(), at); err != nil {
			return i, fmt.Errorf("judge hour: %w", err)
		}
		if err := client.Exec(ctx, hourJudgedSQL, h.arg(), rules, clickhouse.Arg("rows", strconv.FormatUint(h.Rows, 10))); err != nil {
			return i, fmt.Errorf("note judged hour: %w", err)
		}
	}
	return len(hours), nil
}
