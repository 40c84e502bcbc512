package ingress_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// tableOfPage is the head of a provider's page, of which the table of all is made.
var tableOfPage = regexp.MustCompile(`\n\| also emits \| authentication \| a request is \| quirk \|\n\|---\|---\|---\|---\|\n(\| ([^|]+) \|.*\|)\n`)

func TestDocs_EveryProviderHasItsPageAndItsLineInTheTable(t *testing.T) {
	t.Parallel()
	const root = "../../"
	index, err := os.ReadFile(root + "docs/providers/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range registry.Names() {
		page, err := os.ReadFile(root + "docs/providers/" + name + ".md")
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(page), "provider: "+name) {
			t.Errorf("no configuration on the page of %s", name)
		}
		line := tableOfPage.FindSubmatch(page)
		if line == nil {
			t.Errorf("no table with %s on the page of %s", tableOfPage, name)
			continue
		}
		if !strings.Contains(string(index), "\n| ["+name+"]("+name+".md) "+string(line[1])+"\n") {
			t.Errorf("the line of %s in the table of docs/providers/README.md is not that of its page: run make gen", name)
		}
		if name == "generic" {
			continue // tells what it is configured to
		}
		if diff := cmp.Diff(written(t, name), promised(string(line[2]))); diff != "" {
			t.Errorf("%s tells what the table does not say, or the other way round: %s", name, diff)
		}
	}
}

// promised reads the column "also emits": types beside the four that every
// provider tells, and behind a semicolon those of the four that it does not.
func promised(cell string) []schemas.Type {
	also, not, _ := strings.Cut(strings.ReplaceAll(cell, ",", ""), ";")
	says := func(text string, typ schemas.Type) bool { return slices.Contains(strings.Fields(text), string(typ)) }
	types := []schemas.Type{}
	for _, typ := range schemas.Types() {
		usual := slices.Contains([]schemas.Type{schemas.Delivered, schemas.Bounced, schemas.Opened, schemas.Clicked}, typ)
		if says(also, typ) || usual && !says(not, typ) {
			types = append(types, typ)
		}
	}
	return types
}

// written returns the types in the provider's golden files.
func written(t *testing.T, name string) []schemas.Type {
	t.Helper()
	files, err := filepath.Glob("../internal/provider/" + name + "/testdata/*.want.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d golden files of %s, %v", len(files), name, err)
	}
	found := map[schemas.Type]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Items []struct {
				Type schemas.Type `json:"type"`
			} `json:"items"`
		}
		if err := json.Unmarshal(text, &golden); err != nil {
			t.Fatal(err)
		}
		for _, item := range golden.Items {
			found[item.Type] = true
		}
	}
	types := []schemas.Type{}
	for _, typ := range schemas.Types() {
		if found[typ] && typ != schemas.Other {
			types = append(types, typ)
		}
	}
	return types
}
