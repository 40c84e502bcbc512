package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func (c *command) add() *cobra.Command {
	var s listCall
	values := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "add ADDRESS...",
		Short: "Add addresses to the list, all or none",
		Long: `Add puts addresses on the list. One that cannot be used refuses all of them. A domain is
"*@example.com", what is below it "*@*.example.com", and a whole mailbox provider
mailbox_provider:google.`,
		Example: `  mailstream suppressions add ana@example.com bo@example.com --note "asked by phone" --expires 2030-01-01
  mailstream suppressions add mailbox_provider:gmx --scope stream:marketing --expires 2030-01-01 --note "gmx blocks us"`,
		Args: subjectArgs,
		RunE: func(cmd *cobra.Command, addresses []string) error {
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
			if s.asJSON {
				return json.NewEncoder(c.stdout).Encode(answer)
			}
			_, err := fmt.Fprintf(c.stdout, "%s new or changed\n", several(answer.Changed, "entry is", "entries are"))
			return err
		},
	}
	s.bind(cmd, c)
	for name, about := range map[string]string{
		"reason": "`reason`; without it manual", "scope": "`scope`; without it the account", "expires": "`date` or time of its end; without it never", "note": "`why`, kept with every address",
	} {
		values[name] = cmd.Flags().String(name, "", about)
	}
	return cmd
}
