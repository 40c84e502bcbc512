// Command providerindex writes the lists of providers in the documentation: the table
// of docs/providers/README.md, a row a page, and the line of links in README.md.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailstream/mailstream/services/simulate"
)

//go:generate go run . ../../..

// head is how the table begins in which a page says what its row in the index says.
const head = "\n| also emits | authentication | a request is | quirk |\n|---|---|---|---|\n"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: providerindex CHECKOUT")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "providerindex:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	var rows, links []string
	for _, name := range names() {
		row, err := row(root, name)
		if err != nil {
			return err
		}
		rows = append(rows, row)
		links = append(links, "["+name+"](docs/providers/"+name+".md)")
	}
	if err := replace(filepath.Join(root, "docs/providers/README.md"), "|---|---|---|---|---|", strings.Join(rows, "\n")); err != nil {
		return err
	}
	return replace(filepath.Join(root, "README.md"), "<!-- providers, written by make gen -->", strings.Join(links, ", ")+".")
}

// names returns the providers in the order of the alphabet, and generic behind them,
// which is for all others.
func names() []string {
	const generic = "generic"
	var out []string
	for _, name := range simulate.Providers() {
		if name != generic {
			out = append(out, name)
		}
	}
	return append(out, generic)
}

// row returns the row of the index, which is that of the table on the page.
func row(root, name string) (string, error) {
	page, err := os.ReadFile(filepath.Join(root, "docs/providers", name+".md"))
	if err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(string(page), head)
	facts, _, _ := strings.Cut(rest, "\n")
	if !found || !strings.HasPrefix(facts, "|") {
		return "", fmt.Errorf("read the page of %s: there is no table with the head%swith one row", name, head)
	}
	return "| [" + name + "](" + name + ".md) " + facts, nil
}

// replace writes text between marker, a line, and the next empty line of file.
func replace(file, marker, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(old), marker+"\n")
	_, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		return fmt.Errorf("write %s: there is no line %q with an empty line somewhere behind it", file, marker)
	}
	return os.WriteFile(file, []byte(before+marker+"\n"+text+"\n\n"+after), 0o644)
}
