// Command schemagen writes the JSON Schemas (draft 2020-12) and the AsyncAPI
// document (3.0) of the topics from the Go types of module schemas, comments
// included, so that neither can differ from the code.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . ../../schemas

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schemagen FOLDER-OF-SCHEMAS")
		os.Exit(2)
	}
	files, err := Generate(os.Args[1])
	for name, content := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], name), content, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}
