package e2e

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine"
)

// worlds is how many stacks run at once. A test mostly waits, so that this is
// above the number of processors; each stack takes about 1 GiB.
const worlds = "4"

func TestMain(m *testing.M) {
	if engine.IsChild(os.Args) {
		os.Exit(engine.ChildMain())
	}
	flag.Parse()
	if err := flag.Set("test.parallel", worlds); err != nil {
		panic(err)
	}
	code := m.Run()
	stopBroker()
	if err := migrated.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "remove migrated tables:", err)
	}
	os.Exit(code)
}
