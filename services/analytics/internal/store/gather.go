package store

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/turn"
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

// Gathering is how Gather works.
type Gathering struct {
	// Insert is the longest that an insert may take: what it stores bears the time of its
	// beginning.
	Insert time.Duration
	// Lasts is the longest that the server may work on one statement: the timeout of a query.
	Lasts time.Duration
}

// Gather brings together the rows of messages that have events on several days, for
// messages_by_day, and returns how long that took. It may be repeated, be killed, and run
// twice at once: what is added twice changes nothing. It gives way to a correction of
// stored events, whose messages it would add to once more as it read them before.
func Gather(ctx context.Context, client *clickhouse.Client, how Gathering) (took time.Duration, err error) {
	began := time.Now()
	var fresh []struct {
		Since time.Time `ch:"since"`
		Until time.Time `ch:"until"`
		Rows  uint64    `ch:"rows"`
	}
	overlap := strconv.FormatInt(int64((how.Insert+settle)/time.Second), 10)
	if err := client.Select(ctx, &fresh, gatherFreshSQL, clickhouse.Arg("overlap", overlap)); err != nil {
		return 0, fmt.Errorf("find messages to gather: %w", err)
	}
	mine := turn.New(client, turn.Gathering)
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
			for _, statement := range []string{gatherHomeSQL, gatherLateSQL} {
				// After a fault the statement may still run at the server: the turn ends by itself.
				if alone, err := mine.Take(ctx, how.Lasts); err != nil {
					return 0, err
				} else if !alone {
					return time.Since(began), mine.End(ctx)
				}
				if err := client.Exec(ctx, statement, args...); err != nil {
					return 0, fmt.Errorf("gather messages: %w", err)
				}
			}
		}
		if err := client.Exec(ctx, gatheredSQL, clickhouse.Arg("until", f.Until.UTC().Format(timeForm))); err != nil {
			return 0, fmt.Errorf("note gathered messages: %w", err)
		}
	}
	return time.Since(began), mine.End(ctx)
}
