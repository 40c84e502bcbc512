package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// execute starts the command with a configuration file and a context that is done, so
// that a service that starts stops at once.
func execute(t *testing.T, yaml string, environ []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = newRoot(process{args: append(args, "--config", path), environ: environ, stdout: &out, stderr: &errs}).ExecuteContext(ctx)
	return out.String(), errs.String(), err
}

const sound = `
kafka: {brokers: [127.0.0.1:1]}
privacy: {pepper: 0123456789abcdef}
ingress: {listen: 127.0.0.1:0, metrics_listen: "off", sources: [{name: a, provider: mailjet, auth: {basic: {username: u, password: p}}}]}
`

// What --check-config refuses does not start, for the same reason.
func TestCheckConfig_AgreesWithTheStart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, yaml, fault string }{
		{"no sources", strings.Replace(sound, "sources: [{name: a, provider: mailjet, auth: {basic: {username: u, password: p}}}]", "sources: []", 1), "ingress.sources: is empty"},
		{"a body that no dead letter takes", strings.Replace(sound, "listen: 127.0.0.1:0,", "listen: 127.0.0.1:0, body_bytes_max: 16MiB,", 1), "ingress.body_bytes_max: 16MiB does not fit"},
		{"a sound one with anchors", sound + "x-a: 1\n", ""},
		{"unknown keys", sound + "ingres: {}\nalertng: {}\n", "alertng: unknown field; the nearest is alerting"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, checked := execute(t, tc.yaml, nil, "ingress", "--check-config")
			if (checked != nil) != (tc.fault != "") || checked != nil && !strings.Contains(checked.Error(), tc.fault) {
				t.Fatalf("check: %v, want %q", checked, tc.fault)
			}
			if checked == nil {
				return
			}
			if _, _, started := execute(t, tc.yaml, nil, "ingress"); started == nil || !strings.Contains(started.Error(), tc.fault) {
				t.Errorf("start: %v, want %q", started, tc.fault)
			}
		})
	}
}

func TestDevelopment_IsTheFirstLine(t *testing.T) {
	t.Parallel()
	out, errs, err := execute(t, sound, []string{"MAILSTREAM_MODE=development", "MAILSTREAM_ZZZ=1"}, "ingress", "--check-config")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(errs, "mailstream: DEVELOPMENT MODE: ") || !strings.Contains(out, "mode: development\n") || strings.Contains(out, "0123456789abcdef") {
		t.Errorf("said %s, printed %s", errs, out)
	}
	if _, errs, err = execute(t, sound, nil, "ingress", "--check-config"); err != nil || errs != "" {
		t.Errorf("in production: %s, %v", errs, err)
	}
}
