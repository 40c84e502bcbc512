package clickhouse

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestSplitStatements(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want []string
	}{
		{"one without semicolon", "-- why\nSELECT 1\n", []string{"-- why\nSELECT 1\n"}},
		{"two", "-- a;\nSELECT 1;\n\nSELECT ';' AS x;\n", []string{"-- a;\nSELECT 1", "\nSELECT ';' AS x"}},
		{"semicolon inside a line", "SELECT 'a;b'\n", []string{"SELECT 'a;b'\n"}},
		{"only comments after the last", "SELECT 1;\n-- end\n", []string{"SELECT 1"}},
		{"nothing", "-- nothing\n\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, splitStatements(tt.text)); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadMigrations_OrdersAndRefuses(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	got, err := readMigrations(fstest.MapFS{"0010_b.sql": file("SELECT 2;\n"), "0002_a.sql": file("SELECT 1;\n")})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].version != 2 || got[1].version != 10 || got[0].checksum == got[1].checksum {
		t.Errorf("got %+v", got)
	}
	for name, dir := range map[string]fstest.MapFS{
		"no number":  {"events.sql": file("")},
		"same twice": {"0001_a.sql": file(""), "0001_b.sql": file("")},
	} {
		if _, err := readMigrations(dir); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestExpand_ClusterAndSingleServer(t *testing.T) {
	const text = "CREATE TABLE t {{on_cluster}} (x UInt8) ENGINE = {{replicated}}ReplacingMergeTree"
	one, many := Default(), Default()
	many.Cluster = "main"
	if got := one.Expand(text); strings.Contains(got, "CLUSTER") || !strings.Contains(got, "= ReplacingMergeTree") {
		t.Errorf("single server: %s", got)
	}
	if got := many.Expand(text); !strings.Contains(got, "t ON CLUSTER main (") || !strings.Contains(got, "= ReplicatedReplacingMergeTree") {
		t.Errorf("cluster: %s", got)
	}
}
