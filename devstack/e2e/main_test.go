package e2e

import (
	"os"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine"
)

func TestMain(m *testing.M) {
	if engine.IsChild(os.Args) {
		os.Exit(engine.ChildMain())
	}
	code := m.Run()
	stopBroker()
	os.Exit(code)
}
