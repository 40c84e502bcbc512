package composefile_test

import (
	"testing"
	"time"

	"github.com/mailstream/mailstream/devstack/composefile"
)

func TestRead_OurOwnFile(t *testing.T) {
	t.Parallel()
	f, err := composefile.Read(t.Context(), "../../compose.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Services["analytics"].Environment.ToMapping()["MAILSTREAM_KAFKA_BROKERS"]; got != "kafka:19092" {
		t.Errorf("analytics finds Kafka at %q", got)
	}
	if got := time.Duration(*f.Services["suppression"].HealthCheck.StartPeriod); got != 10*time.Minute {
		t.Errorf("suppression has %s to start", got)
	}
}
