package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func (c *command) add() *cobra.Command {
	s := service{url: "http://127.0.0.1:8082"}
	var asJSON bool
	values := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "add ADDRESS...",
		Short: "Add addresses to the list, all or none",
		Long: `Add puts addresses on the list. One that cannot be used refuses all of them.

The bearer token of the service comes from the environment variable
MAILSTREAM_SUPPRESSION_TOKEN.`,
		Example: `  mailstream suppressions add ana@example.com bo@example.com --note "asked by phone" --expires 2030-01-01`,
		Args:    addressArgs,
		RunE: func(cmd *cobra.Command, addresses []string) error {
			s.token = c.environment(suppressionToken)
			request := map[string]any{"action": "add", "addresses": addresses}
			for name, value := range values {
				if cmd.Flags().Changed(name) { // an empty word is sent, and refused
					request[name] = *value
				}
			}
			var answer struct {
				Token   string `json:"token"`
				Changed int    `json:"changed"`
			}
			if err := s.call(cmd.Context(), http.MethodPost, "/v1/suppressions/bulk", request, &answer); err != nil {
				return asUsage(err)
			}
			if asJSON {
				return json.NewEncoder(c.stdout).Encode(answer)
			}
			_, err := fmt.Fprintf(c.stdout, "%d entries are new or changed\n", answer.Changed)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.url, "url", s.url, "base `URL` of the suppression service")
	f.BoolVar(&asJSON, "json", false, "print the answer as JSON")
	for name, about := range map[string]string{
		"reason": "`reason`; without it manual", "scope": "`scope`; without it the account", "expires": "`date` or time of its end; without it never", "note": "`why`, kept with every address",
	} {
		values[name] = f.String(name, "", about)
	}
	return cmd
}
