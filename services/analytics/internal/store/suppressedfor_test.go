package store

import (
	"maps"
	"os"
	"regexp"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// TestSuppressedFor_KnowsTheMailboxProvidersOfTheTable fails when a domain was added: then a
// new migration has to make the view anew.
func TestSuppressedFor_KnowsTheMailboxProvidersOfTheTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../internal/mailbox/domains.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Families map[string]string   `yaml:"families"`
		Domains  map[string][]string `yaml:"domains"`
	}
	if err := config.Decode("domains.yaml", text, &table); err != nil {
		t.Fatal(err)
	}
	domains := map[string]string{}
	for provider, names := range table.Domains {
		for _, name := range names {
			domains[name] = provider
		}
	}
	view, err := os.ReadFile("sql/schema/0022_suppressed_for.sql")
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`'([^']*)'`)
	found := regexp.MustCompile(`(?s)transform\([^,]+, \[(.*?)\], \[(.*?)\],`).FindAllSubmatch(view, -1)
	if len(found) != 2 {
		t.Fatalf("%d tables in the view, want those of domains and families", len(found))
	}
	for i, want := range []map[string]string{domains, table.Families} {
		names, providers := word.FindAllSubmatch(found[i][1], -1), word.FindAllSubmatch(found[i][2], -1)
		got := map[string]string{}
		for j := range min(len(names), len(providers)) {
			got[string(names[j][1])] = string(providers[j][1])
		}
		if len(names) != len(providers) || !maps.Equal(got, want) {
			t.Errorf("the view has %d domains, domains.yaml has %d, or they differ", len(got), len(want))
		}
	}
}
