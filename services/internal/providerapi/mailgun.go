package providerapi

import (
	"context"
	"fmt"
	"net/url"
)

// mailgun reads three lists of each domain. The last page is empty, and names itself as
// the next.
func mailgun(ctx context.Context, c *client, yield yield) error {
	for _, domain := range c.Domains {
		for _, l := range []struct {
			name string
			kind Kind
		}{{"bounces", Bounce}, {"complaints", Complaint}, {"unsubscribes", Unsubscribe}} {
			if err := mailgunList(ctx, c, "/v3/"+url.PathEscape(domain)+"/"+l.name+"?limit=1000", l.kind, yield); err != nil {
				return fmt.Errorf("list %s of %s: %w", l.name, domain, err)
			}
		}
	}
	return nil
}

func mailgunList(ctx context.Context, c *client, next string, kind Kind, yield yield) error {
	return pages(func(int) (bool, error) {
		var page struct {
			Items []struct {
				Address   string
				Error     string
				CreatedAt string `json:"created_at"`
			}
			Paging struct{ Next string }
		}
		if err := c.get(ctx, call{path: next, signed: c.basic("api", c.Key.Reveal())}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Items {
			if err := yield(Listed{Address: e.Address, Kind: kind, Since: stamp(e.CreatedAt), Detail: e.Error}); err != nil {
				return false, err
			}
		}
		next = page.Paging.Next
		return len(page.Items) > 0 && next != "", nil
	})
}
