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

//go:embed sql/query/seal_hour.sql
var sealHourSQL string

// sealsMax bounds the hours of one Seal, so that a large back-fill is sealed in
// steps between which the caller can stop.
const sealsMax = 200

// timeForm is how ClickHouse reads a DateTime parameter.
const timeForm = "2006-01-02 15:04:05"

// Seal counts for good the hours that had no new row for rest, and returns how
// many it sealed. Two callers at once do the same work twice and no harm: each
// writes under a seal of its own, and readers take one whole seal.
func Seal(ctx context.Context, client *clickhouse.Client, rest time.Duration) (int, error) {
	var hours []struct {
		Hour time.Time `ch:"hour"`
		Rows uint64    `ch:"rows"`
	}
	seconds := strconv.Itoa(int(rest / time.Second))
	if err := client.Select(ctx, &hours, hoursToSealSQL, clickhouse.Arg("rest", seconds), clickhouse.Arg("limit", strconv.Itoa(sealsMax))); err != nil {
		return 0, fmt.Errorf("find hours to seal: %w", err)
	}
	for i, h := range hours {
		hour := clickhouse.Arg("hour", h.Hour.UTC().Format(timeForm))
		seal := clickhouse.Arg("seal", strconv.FormatInt(time.Now().UnixNano(), 10))
		if err := client.Exec(ctx, sealCountsSQL, hour, seal); err != nil {
			return i, fmt.Errorf("count hour: %w", err)
		}
		if err := client.Exec(ctx, sealHourSQL, hour, seal, clickhouse.Arg("rows", strconv.FormatUint(h.Rows, 10))); err != nil {
			return i, fmt.Errorf("seal hour: %w", err)
		}
	}
	return len(hours), nil
}
