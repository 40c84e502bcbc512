package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/ingress"
	"github.com/mailstream/mailstream/services/pipeline"
)

// unsubscribeHeaders are the headers of one mail.
type unsubscribeHeaders struct {
	URL  string `json:"url"`
	List string `json:"list_unsubscribe"`
	Post string `json:"list_unsubscribe_post"`
}

func (c *command) unsubscribeLink() *cobra.Command {
	var m ingress.UnsubscribeMail
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "unsubscribe-link",
		Short: "Print the List-Unsubscribe headers of one mail",
		Long: `Unsubscribe-link prints the two headers that let a person leave a list with one
click (RFC 8058), for the URL and with the key of ingress.unsubscribe. Both have to be
signed by DKIM. A sender makes links itself as docs/unsubscribe.md shows.`,
		Example: `  mailstream unsubscribe-link --address ana@example.com --list weekly --message-id m-1 --config /etc/mailstream/config.yaml
  mailstream unsubscribe-link --address ana@example.com --stream marketing --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, _, err := c.load(pipeline.Unsubscribe)
			if err != nil {
				return err
			}
			url, err := cfg.Ingress.UnsubscribeLink(m)
			if err != nil {
				return err
			}
			h := unsubscribeHeaders{URL: url, List: "<" + url + ">", Post: "List-Unsubscribe=One-Click"}
			if asJSON {
				return json.NewEncoder(c.stdout).Encode(h)
			}
			_, err = fmt.Fprintf(c.stdout, "List-Unsubscribe: %s\nList-Unsubscribe-Post: %s\n", h.List, h.Post)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Recipient, "address", "", "`address` that the mail goes to (required)")
	f.StringVar(&m.List, "list", "", "`id` of the list that the link leaves")
	f.StringVar(&m.Stream, "stream", "", "`name` of the stream that the link leaves, where there is no list")
	f.StringVar(&m.MessageID, "message-id", "", "`id` of the mail, as its other events have it")
	f.StringVar(&m.Campaign, "campaign", "", "`name` of the campaign")
	f.BoolVar(&asJSON, "json", false, "print as JSON")
	_ = cmd.MarkFlagRequired("address") // it exists
	return cmd
}
