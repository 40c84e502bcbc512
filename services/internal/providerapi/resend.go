package providerapi

import (
	"context"
	"net/url"
	"strconv"
)

// resendPage is the largest page.
const resendPage = 100

// resendKinds are where its entries come from.
var resendKinds = map[string]Kind{"bounce": Bounce, "complaint": Complaint, "manual": Manual}

// resend reads the list by the id of the last entry of a page.
func resend(ctx context.Context, c *client, yield yield) error {
	query := url.Values{"limit": {strconv.Itoa(resendPage)}}
	return pages(func(int) (bool, error) {
		var page struct {
			Data []struct {
				ID, Email, Origin string
				CreatedAt         string `json:"created_at"`
			}
			HasMore bool `json:"has_more"`
		}
		if err := c.get(ctx, call{path: "/suppressions", query: query, signed: c.bearer}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Data {
			if err := yield(Listed{Address: e.Email, Kind: kindOf(resendKinds, e.Origin), Since: stamp(e.CreatedAt)}); err != nil {
				return false, err
			}
		}
		if len(page.Data) == 0 {
			return false, nil
		}
		query.Set("after", page.Data[len(page.Data)-1].ID)
		return page.HasMore, nil
	})
}
