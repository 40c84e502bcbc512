//go:build !kafka

package analyticstest

import (
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/services/servicetest"
)

// worlds is how many tests run at once: each has a broker and a database of its
// own and mostly waits, so that this is above the number of processors.
const worlds = "4"

// newBroker starts the broker of the development stack until the test ends.
func newBroker(t testing.TB) (address string) {
	t.Helper()
	b := broker.New(broker.Config{Listen: "127.0.0.1:0", DataDir: filepath.Join(t.TempDir(), "kafka")}, zap.NewNop())
	servicetest.Start(t, b)
	return b.Addr()
}
