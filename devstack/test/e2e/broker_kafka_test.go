//go:build kafka

package e2e

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/mailstream/mailstream/devstack/apachekafka"
)

// One Apache Kafka serves all tests of the process; each has topics of its own.
var (
	sharedOnce   sync.Once
	sharedDir    string
	sharedBroker *apachekafka.Broker
	sharedErr    error
)

// externalBroker returns the Apache Kafka to test against: KAFKA_BROKERS, or one
// that is started here with the settings of compose.yaml.
func externalBroker(t *testing.T) string {
	t.Helper()
	sharedOnce.Do(func() {
		if sharedDir, sharedErr = os.MkdirTemp("", "mailstream-kafka-"); sharedErr == nil {
			sharedBroker, sharedErr = apachekafka.Start(context.Background(), apachekafka.Options{Address: os.Getenv("KAFKA_BROKERS"), DataDir: sharedDir})
		}
	})
	if sharedErr != nil {
		t.Fatal(sharedErr)
	}
	return sharedBroker.Addr()
}

func stopBroker() {
	if sharedBroker != nil {
		_ = sharedBroker.Stop() // the run is over; what is left ends with this process
	}
	_ = os.RemoveAll(sharedDir) // in the folder for temporary files
}

// newOutage starts a broker of its own that can be taken away.
func newOutage(t *testing.T) outage {
	t.Helper()
	b, err := apachekafka.Start(t.Context(), apachekafka.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop() }) // as above
	return outage{
		addr:     b.Addr(),
		take:     func() error { return b.Kill() },
		giveBack: func() error { return b.Restart(context.WithoutCancel(t.Context())) },
	}
}
