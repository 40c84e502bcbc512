package store

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/query/raw_to_expire.sql
var rawToExpireSQL string

//go:embed sql/query/expire_raw.sql
var expireRawSQL string

// ExpireRaw has ClickHouse empty raw of events that were received before, and
// returns how many rows that are. It may be repeated, and run twice at once.
func ExpireRaw(ctx context.Context, client *clickhouse.Client, cfg clickhouse.Config, before time.Time) (uint64, error) {
	arg := clickhouse.Arg("before", strconv.FormatInt(before.UnixMilli(), 10))
	var rows []struct {
		Rows uint64 `ch:"rows"`
	}
	if err := client.Select(ctx, &rows, rawToExpireSQL, arg); err != nil {
		return 0, fmt.Errorf("look for raw past its time: %w", err)
	}
	if len(rows) == 0 || rows[0].Rows == 0 {
		return 0, nil
	}
	if err := client.Exec(ctx, cfg.Expand(expireRawSQL), arg); err != nil {
		return 0, fmt.Errorf("empty raw past its time: %w", err)
	}
	return rows[0].Rows, nil
}
