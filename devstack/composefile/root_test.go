package composefile_test

import (
	"testing"

	"github.com/mailstream/mailstream/devstack/composefile"
)

func TestRead_OurOwnFile(t *testing.T) {
	t.Parallel()
	f, err := composefile.Read("../../compose.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Services["analytics"].Environment["MAILSTREAM_KAFKA_BROKERS"]; got != "kafka:19092" {
		t.Errorf("analytics finds Kafka at %q", got)
	}
	if got := f.Services["suppression"].Healthcheck.StartPeriod; got != "600s" {
		t.Errorf("suppression has %q to start", got)
	}
}
