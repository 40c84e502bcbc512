package store

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/query/hours_to_seal.sql
var hoursToSealSQL string

//go:embed sql/query/seal_counts.sql
var sealCountsSQL string

//go:embed sql/query/seal_dimensions.sql
var sealDimensionsSQL string

//go:embed sql/query/seal_hour.sql
var sealHourSQL string

// sealsMax bounds the hours of one Seal, so that a large back-fill is sealed in
// steps between which the caller can stop.
const sealsMax = 200

// timeForm is how ClickHouse reads a DateTime parameter.
const timeForm = "2006-01-02 15:04:05"

// settle is how long the counts of an hour are stored before its seal makes them
// valid. A query of rates_1h fixes the rows it will read from each table before
// it looks at the seals; one that fixed them before the counts were written and
// looked after the seal would find the hour in neither half. Planning a query
// takes milliseconds; this is hundreds of times more, for a busy server.
const settle = 2 * time.Second

// hourRows is an hour to work on and how many rows it has.
type hourRows struct {
	Hour time.Time `ch:"hour"`
	Rows uint64    `ch:"rows"`
}

// Seal writes the final counts of the hours that had no new row for rest, and
// returns how many it sealed. Two callers at once do the same work twice,
// without harm: each writes under a different seal, and readers take one whole
// seal.
func Seal(ctx context.Context, client *clickhouse.Client, rest time.Duration) (int, error) {
	var hours []hourRows
	seconds := strconv.Itoa(int(rest / time.Second))
	if err := client.Select(ctx, &hours, hoursToSealSQL, clickhouse.Arg("rest", seconds), clickhouse.Arg("limit", strconv.Itoa(sealsMax))); err != nil {
		return 0, fmt.Errorf("find hours to seal: %w", err)
	}
	if len(hours) == 0 {
		return 0, nil
	}
	seals := make([]string, len(hours))
	for i, h := range hours {
		seals[i] = strconv.FormatInt(time.Now().UnixNano(), 10)
		for _, counts := range []string{sealCountsSQL, sealDimensionsSQL} {
			if err := client.Exec(ctx, counts, h.arg(), clickhouse.Arg("seal", seals[i])); err != nil {
				return 0, fmt.Errorf("count hour: %w", err)
			}
		}
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	for i, h := range hours {
		rows := clickhouse.Arg("rows", strconv.FormatUint(h.Rows, 10))
		if err := client.Exec(ctx, sealHourSQL, h.arg(), clickhouse.Arg("seal", seals[i]), rows); err != nil {
			return i, fmt.Errorf("seal hour: %w", err)
		}
	}
	return len(hours), nil
}

func (h hourRows) arg() any {
	return clickhouse.Arg("hour", h.Hour.UTC().Format(timeForm))
}
