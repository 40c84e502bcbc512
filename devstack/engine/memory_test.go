package engine_test

import (
	"strings"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine"
)

// TestRun_BoundsTheMemoryOfAllQueries refuses one that the engine next to it answers.
func TestRun_BoundsTheMemoryOfAllQueries(t *testing.T) {
	t.Parallel()
	const large = "SELECT length(groupArray(toString(number))) FROM numbers(5000000)" // about 400 MB
	small := run(t, func(c *engine.Config) { c.MemoryMax = 256 << 20 })
	if got := do(t, small.URL(), call{body: large}); !strings.Contains(got.body, "(total) memory limit exceeded") {
		t.Errorf("within 256 MiB: %d %.200s", got.status, got.body)
	}
	if got := query(t, small.URL(), "SELECT 1"); got != "1" {
		t.Errorf("afterwards: %s", got)
	}
	usual := run(t, func(*engine.Config) {})
	if got := query(t, usual.URL(), large); got != "5000000" {
		t.Errorf("within the default: %s", got)
	}
	const limits = "SELECT groupArray(value) FROM (SELECT value FROM system.server_settings WHERE name IN ('background_merges_mutations_concurrency_ratio', 'background_pool_size', 'index_mark_cache_size', 'mark_cache_size', 'max_server_memory_usage') ORDER BY name)"
	if got, want := query(t, usual.URL(), limits), "['2','2','134217728','134217728','2147483648']"; got != want {
		t.Errorf("limits are %s, want %s", got, want)
	}
	roomy := run(t, func(c *engine.Config) { c.MemoryMax = 4 * engine.MemoryDefault })
	for name, r := range map[string]*running{"the default": usual, "more": roomy} {
		plan := query(t, r.URL(), "EXPLAIN PIPELINE SELECT cityHash64(number) AS hash, count() FROM numbers_mt(100000000) GROUP BY hash SETTINGS max_threads = 8")
		if strings.Contains(plan, "× ") {
			t.Errorf("with %s memory a query has several threads:\n%s", name, plan)
		}
	}
	for _, bad := range []engine.Config{{MemoryMax: -1}, {StopMax: -1}} {
		bad.Listen = "127.0.0.1:0"
		if _, err := engine.New(bad, nil); err == nil || !strings.Contains(err.Error(), "below 0") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
