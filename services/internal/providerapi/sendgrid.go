package providerapi

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// sendgridPage is the largest page.
const sendgridPage = 500

// sendgrid reads four lists and the unsubscribe groups. Its blocks are left out: a block
// does not keep the next mail from being sent.
func sendgrid(ctx context.Context, c *client, yield yield) error {
	for _, l := range []struct {
		name string
		kind Kind
	}{{"bounces", Bounce}, {"invalid_emails", Bounce}, {"spam_reports", Complaint}, {"unsubscribes", Unsubscribe}} {
		if err := sendgridList(ctx, c, l.name, l.kind, yield); err != nil {
			return fmt.Errorf("list %s: %w", l.name, err)
		}
	}
	var groups []struct {
		ID int64 `json:"id"`
	}
	if err := c.get(ctx, call{path: "/v3/asm/groups", signed: c.bearer}, &groups); err != nil {
		return fmt.Errorf("unsubscribe groups: %w", err)
	}
	for _, g := range groups {
		id := strconv.FormatInt(g.ID, 10)
		var addresses []string
		if err := c.get(ctx, call{path: "/v3/asm/groups/" + id + "/suppressions", signed: c.bearer}, &addresses); err != nil {
			return fmt.Errorf("unsubscribe group %s: %w", id, err)
		}
		for _, a := range addresses {
			if err := yield(Listed{Address: a, Kind: Unsubscribe, List: id}); err != nil {
				return err
			}
		}
	}
	return nil
}

func sendgridList(ctx context.Context, c *client, name string, kind Kind, yield yield) error {
	return pages(func(n int) (bool, error) {
		var page []struct {
			Created       int64
			Email, Reason string
		}
		query := url.Values{"limit": {strconv.Itoa(sendgridPage)}, "offset": {strconv.Itoa(n * sendgridPage)}}
		if err := c.get(ctx, call{path: "/v3/suppression/" + name, query: query, signed: c.bearer}, &page); err != nil {
			return false, err
		}
		for _, e := range page {
			if err := yield(Listed{Address: e.Email, Kind: kind, Since: time.Unix(e.Created, 0).UTC(), Detail: e.Reason}); err != nil {
				return false, err
			}
		}
		return len(page) == sendgridPage, nil
	})
}
