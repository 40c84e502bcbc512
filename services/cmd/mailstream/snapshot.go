package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/internal/audit"
)

func (c *command) snapshot() *cobra.Command {
	var s listCall
	var out string
	cmd := &cobra.Command{
		Use:   "snapshot --out FILE",
		Short: "Write all that a replica knows to a file, from which an empty replica starts",
		Long: `Snapshot writes the whole list, with where in the topic it ends, to a file. A replica
whose suppression.snapshot.url names the file (file:///path) and whose own store is
empty begins with it, and reads from the topic only what came later. It holds the
addresses of people: keep it as you keep the list, and not for long, since a replica
takes none that is older than half of kafka.topics.tombstone_retention. A replica can
also name the URL of another one, which needs no file.`,
		Example: `  mailstream suppressions snapshot --out /var/lib/mailstream/list.snapshot`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usagef("--out is missing: name the file to write")
			}
			bytes, err := s.saveSnapshot(cmd.Context(), out)
			if err != nil {
				return err
			}
			if s.asJSON {
				_, err = fmt.Fprintf(c.stdout, "{\"file\":%q,\"bytes\":%d}\n", out, bytes)
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "%s: %d bytes\n", out, bytes)
			return err
		},
	}
	s.bind(cmd, c)
	cmd.Flags().StringVar(&out, "out", "", "`file` to write; what is there is replaced once the snapshot is whole")
	return cmd
}

// saveSnapshot replaces out by a whole snapshot; one that was cut off replaces none.
func (s service) saveSnapshot(ctx context.Context, out string) (written int64, err error) {
	file, err := createWhole(out, true)
	if err != nil {
		return 0, fmt.Errorf("write snapshot: %w", err)
	}
	written, err = s.fetchSnapshot(ctx, file)
	return written, errors.Join(err, file.end(err == nil))
}

func (s service) fetchSnapshot(ctx context.Context, w io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.url, "/")+"/v1/suppressions/snapshot", nil)
	if err != nil {
		return 0, err
	}
	audit.SayFor(req, who(), audit.RoleCommand)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
		return 0, errors.Join(s.refusalOf(resp.StatusCode, text), err)
	}
	n, err := io.Copy(w, resp.Body) // an answer that is cut off has no last chunk, which is an error
	if err != nil {
		return n, fmt.Errorf("the snapshot was cut off: %w", err)
	}
	return n, nil
}
