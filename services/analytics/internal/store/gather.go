package store

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/query/gather_fresh.sql
var gatherFreshSQL string

//go:embed sql/query/gather_home.sql
var gatherHomeSQL string

//go:embed sql/query/gather_late.sql
var gatherLateSQL string

//go:embed sql/query/gathered.sql
var gatheredSQL string

// gatherRowsMax is how many new rows one statement of Gather takes the messages of:
// ClickHouse holds a set of them in memory, some 50 bytes each.
const gatherRowsMax = 1_000_000

// Gather brings together the rows of messages that have events on several days, for
// messages_by_day, and returns how long that took. insert is the longest that an insert
// may take: what it stores bears the time of its beginning. Gather may be repeated, be
// killed, and run twice at once: what is added twice changes nothing.
func Gather(ctx context.Context, client *clickhouse.Client, insert time.Duration) (took time.Duration, err error) {
	began := time.Now()
	var fresh []struct {
		Since time.Time `ch:"since"`
		Until time.Time `ch:"until"`
		Rows  uint64    `ch:"rows"`
	}
	overlap := strconv.FormatInt(int64((insert+settle)/time.Second), 10)
	if err := client.Select(ctx, &fresh, gatherFreshSQL, clickhouse.Arg("overlap", overlap)); err != nil {
		return 0, fmt.Errorf("find messages to gather: %w", err)
	}
	for _, f := range fresh { // one
		if f.Rows == 0 {
			continue
		}
		slices := f.Rows/gatherRowsMax + 1
		for slice := range slices {
			args := []any{
				clickhouse.Arg("since", f.Since.UTC().Format(timeForm)),
				clickhouse.Arg("slices", strconv.FormatUint(slices, 10)), clickhouse.Arg("slice", strconv.FormatUint(slice, 10)),
			}
			if err := client.Exec(ctx, gatherHomeSQL, args...); err != nil {
				return 0, fmt.Errorf("gather messages: %w", err)
			}
			if err := client.Exec(ctx, gatherLateSQL, args...); err != nil {
				return 0, fmt.Errorf("mark gathered messages: %w", err)
			}
		}
		if err := client.Exec(ctx, gatheredSQL, clickhouse.Arg("until", f.Until.UTC().Format(timeForm))); err != nil {
			return 0, fmt.Errorf("note gathered messages: %w", err)
		}
	}
	return time.Since(began), nil
}
