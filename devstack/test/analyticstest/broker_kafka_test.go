//go:build kafka

package analyticstest

import (
	"testing"

	"github.com/mailstream/mailstream/devstack/apachekafka"
)

// worlds is how many tests run at once: each has a JVM.
const worlds = "2"

// newBroker starts an Apache Kafka until the test ends: topics have fixed names, so that
// no two tests share one.
func newBroker(t testing.TB) (address string) {
	t.Helper()
	b, err := apachekafka.Start(t.Context(), apachekafka.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop() }) // the test is over
	return b.Addr()
}
