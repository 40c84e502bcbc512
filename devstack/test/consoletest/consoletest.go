// Package consoletest starts a console of its own over a stack that runs, for tests that
// want one that is configured otherwise. It tests nothing itself.
package consoletest

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/stack"
	"github.com/mailstream/mailstream/services/console"
	"github.com/mailstream/mailstream/services/pipeline"
)

// PasswordHash is that of "correct horse battery".
const PasswordHash = "$2b$10$rizgzLFhTB5CuAu2xyGPcutb1c/TtJSOPUntS7s14wMFozuoY8z9m"

// Start starts a console over s, with the settings of console.auth and what variables say,
// and returns its base URL. It ends with the test.
func Start(tb testing.TB, s *stack.Stack, auth string, environ ...string) string {
	tb.Helper()
	base := s.Config()
	file := fmt.Sprintf("console: {listen: '127.0.0.1:0', metrics_listen: 'off', auth: {%s}, ingress: {metrics_url: %q}", auth, s.MetricsURL(pipeline.Ingress))
	for _, name := range []pipeline.Name{pipeline.Suppression, pipeline.Alerting, pipeline.Analytics} {
		file += fmt.Sprintf(", %s: {url: %q, token: dev}", name, s.URL(name))
	}
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte(file + "}"), Name: "test", Environ: environ, Base: &base})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, done := make(chan *console.Service, 1), make(chan error, 1)
	ended := func(err error) {
		tb.Helper()
		done <- err
		tb.Fatalf("console ended: %v", err)
	}
	go func() {
		done <- pipeline.Run(ctx, cfg, pipeline.Console, zap.NewNop(), func(s pipeline.Service) {
			if svc, ok := s.(*console.Service); ok {
				started <- svc
			}
		})
	}()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("console: %v", err)
		}
	})
	select {
	case svc := <-started:
		select {
		case <-svc.Ready():
		case err := <-done:
			ended(err)
		}
		return "http://" + svc.Addr()
	case err := <-done:
		ended(err)
	}
	return ""
}
