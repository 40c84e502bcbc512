// Command schemagen writes the JSON Schemas, the AsyncAPI document of the topics
// and the codec of events into the folder of module schemas.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/mailstream/mailstream/devstack/schemagen"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schemagen FOLDER-OF-SCHEMAS")
		os.Exit(2)
	}
	files, err := schemagen.Generate(os.Args[1])
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
