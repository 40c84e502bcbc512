package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

const (
	// healthTimeout bounds one check; container engines ask every few seconds.
	healthTimeout = 3 * time.Second
	// healthBytesMax bounds the reason that is printed.
	healthBytesMax = 1 << 10
)

// healthcheck asks a service of its own; images without a shell need it.
func healthcheck() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:     "healthcheck",
		Example: "  mailstream healthcheck --url http://127.0.0.1:8082/readyz",
		Short:   "Ask a service's /readyz; the exit code is the answer",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, url, nil)
			if err != nil || req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
				return usagef("--url: %q is not an http URL", url)
			}
			resp, err := (&http.Client{Timeout: healthTimeout}).Do(req)
			if err != nil {
				return fmt.Errorf("ask %s: %w", url, err)
			}
			defer func() { _ = resp.Body.Close() }() // nothing was written
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			reason, err := io.ReadAll(io.LimitReader(resp.Body, healthBytesMax))
			if err != nil {
				return fmt.Errorf("ask %s: %w", url, err)
			}
			return fmt.Errorf("ask %s: %s: %s", url, resp.Status, reason)
		},
	}
	cmd.Flags().StringVar(&url, "url", "http://127.0.0.1:8080/readyz", "the `URL` to ask")
	return cmd
}
