// Command configgen writes docs/configuration.md of the comments of the
// configuration's fields.
package main

import (
	"fmt"
	"os"

	"github.com/mailstream/mailstream/devstack/configref"
	"github.com/mailstream/mailstream/services/pipeline"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: configgen TOP-OF-THE-REPOSITORY FILE")
		os.Exit(2)
	}
	entries, err := configref.Read(os.Args[1], pipeline.Default())
	if err == nil {
		err = os.WriteFile(os.Args[2], configref.Markdown(entries), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "configgen:", err)
		os.Exit(1)
	}
}
