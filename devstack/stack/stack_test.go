package stack_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mailstream/mailstream/devstack/stack"
)

// A receiver that a person configured is not replaced by the stand-in.
func TestNew_StandsInForSlackOnlyWhereItsOwnWebhookIsConfigured(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, config string
		standIn      bool
	}{
		{"as it comes", "", true},
		{"the stand-in at another port", "alerting: {slack: {webhook_url: 'http://127.0.0.1:18089/services/dev'}}", true},
		{"Slack", "alerting: {slack: {webhook_url: 'https://hooks.slack.com/services/T/B/x'}}", false},
		{"a receiver on this machine", "alerting: {slack: {webhook_url: 'http://127.0.0.1:9999/services/T/B/x'}}", false},
		{"nobody", "alerting: {slack: {webhook_url: ''}}", false},
	} {
		for _, freePorts := range []bool{false, true} {
			opt := stack.Options{DataDir: t.TempDir(), FreePorts: freePorts}
			if tc.config != "" {
				opt.ConfigFile = filepath.Join(t.TempDir(), "own.yaml")
				if err := os.WriteFile(opt.ConfigFile, []byte(tc.config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, err := stack.New(opt)
			if err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			if got := s.Slack() != nil; got != tc.standIn {
				t.Errorf("%s, free ports %v: stand-in %v, want %v", tc.name, freePorts, got, tc.standIn)
			}
		}
	}
}
