package engine_test

import (
	"strings"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine"
)

// TestRun_HasNoRoomOnAFullDisk and reads what is there.
func TestRun_HasNoRoomOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := run(t, inDir(dir))
	query(t, r.URL(), "CREATE TABLE numbers_kept (n UInt64) ENGINE = MergeTree ORDER BY n")
	query(t, r.URL(), "INSERT INTO numbers_kept SELECT 1")
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}
	full := run(t, func(c *engine.Config) { c.DataDir, c.DiskFull = dir, true })
	if got := do(t, full.URL(), call{body: "INSERT INTO numbers_kept SELECT 2"}); !strings.Contains(got.body, "NOT_ENOUGH_SPACE") {
		t.Errorf("an insert: %d %s", got.status, got.body)
	}
	if got := query(t, full.URL(), "SELECT count() FROM numbers_kept"); got != "1" {
		t.Errorf("it has %s rows", got)
	}
}
