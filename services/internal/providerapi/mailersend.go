package providerapi

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
)

// mailersendPage is the largest page.
const mailersendPage = 100

// mailersend reads four lists. An entry of the blocklist may be a pattern, which is left
// out.
func mailersend(ctx context.Context, c *client, yield yield) error {
	for _, l := range []struct {
		name string
		kind Kind
	}{{"hard-bounces", Bounce}, {"spam-complaints", Complaint}, {"unsubscribes", Unsubscribe}, {"blocklist", Manual}} {
		if err := mailersendList(ctx, c, l.name, l.kind, yield); err != nil {
			return fmt.Errorf("list %s: %w", l.name, err)
		}
	}
	return nil
}

func mailersendList(ctx context.Context, c *client, name string, kind Kind, yield yield) error {
	return pages(func(n int) (bool, error) {
		var page struct {
			Data []struct {
				Type, Pattern, Reason string
				CreatedAt             string `json:"created_at"`
				Recipient             struct{ Email string }
			}
			Links struct{ Next *string }
		}
		query := url.Values{"limit": {strconv.Itoa(mailersendPage)}, "page": {strconv.Itoa(n + 1)}}
		if err := c.get(ctx, call{path: "/v1/suppressions/" + name, query: query, signed: c.bearer}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Data {
			address := e.Recipient.Email
			if address == "" && e.Type == "exact" {
				address = e.Pattern
			}
			if err := yield(Listed{Address: address, Kind: kind, Since: stamp(e.CreatedAt), Detail: e.Reason}); err != nil {
				return false, err
			}
		}
		return page.Links.Next != nil && len(page.Data) > 0, nil
	})
}
