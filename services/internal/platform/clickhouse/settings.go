package clickhouse

import (
	"context"
	_ "embed"
	"sync"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// insertSettings is what every insert depends on. None of it is left to the
// server's profile, since defaults differ between 25.8, 26.3 and what an
// administrator set.
func insertSettings() driver.Settings {
	return driver.Settings{
		// The answer comes after the part is written, not after it was queued.
		"async_insert": 0,
		// Rows are idempotent without it. Deduplication by block would make what is
		// stored depend on windows, tokens and block borders, differently in a table
		// and in the tables its views fill.
		"insert_deduplicate": 0,
		"deduplicate_blocks_in_dependent_materialized_views": 0,
		"deduplicate_insert": "disable",
		// Collapsing rows of one key is left to merges and FINAL: doing it in the
		// insert measured 2.6 times the processor time of the whole insert.
		"optimize_on_insert": 0,
		// A back-fill touches as many days as it has. Their number is bounded by the
		// caller's row limit, and partitions by the table's own expression.
		"max_partitions_per_insert_block": 0,
		// The blocks of one insert become one part a partition.
		"min_insert_block_size_rows":  blockRowsMax,
		"min_insert_block_size_bytes": 1 << 30,
	}
}

//go:embed sql/settings.sql
var settingsSQL string

// knownSettings remembers which of insertSettings the server has: an unknown
// one would fail the whole insert.
type knownSettings struct {
	mu    sync.Mutex
	value driver.Settings // nil: not asked yet
}

// get asks once. The driver changes the map it is given, so each caller gets
// its own.
func (k *knownSettings) get(ctx context.Context, c *Client) (driver.Settings, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.value == nil {
		value, err := c.askSettings(ctx)
		if err != nil {
			return nil, err
		}
		k.value = value
	}
	out := make(driver.Settings, len(k.value))
	for name, v := range k.value {
		out[name] = v
	}
	return out, nil
}

// forget makes the next get query the settings anew: the server may be another
// one now.
func (k *knownSettings) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.value = nil
}

func (c *Client) askSettings(ctx context.Context) (driver.Settings, error) {
	wanted := insertSettings()
	names := make([]string, 0, len(wanted))
	for name := range wanted {
		names = append(names, name)
	}
	var rows []struct {
		Name string `ch:"name"`
	}
	if err := c.Select(ctx, &rows, settingsSQL, Arg("names", Words(names))); err != nil {
		return nil, err
	}
	value := driver.Settings{}
	for _, row := range rows {
		value[row.Name] = wanted[row.Name]
	}
	return value, nil
}
