package ingress_test

import (
	"os"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/ingress"
)

func TestDocs_EveryProviderHasItsPageAndItsLineInTheTable(t *testing.T) {
	t.Parallel()
	const dir = "../../docs/providers/"
	table, err := os.ReadFile(dir + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ingress.ProviderNames() {
		page, err := os.ReadFile(dir + name + ".md")
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(table), "| ["+name+"]("+name+".md) |") {
			t.Errorf("no line of %s in the table", name)
		}
		if !strings.Contains(string(page), "provider: "+name) {
			t.Errorf("no configuration on the page of %s", name)
		}
	}
}
