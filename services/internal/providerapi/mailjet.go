package providerapi

import (
	"context"
	"net/url"
	"strconv"
)

// mailjetPage is the largest page.
const mailjetPage = 1000

// mailjet reads the contacts that are excluded from campaigns. What Mailjet blocks on its
// own has no API.
func mailjet(ctx context.Context, c *client, yield yield) error {
	return pages(func(n int) (bool, error) {
		var page struct {
			Data []struct {
				Email   string
				Changed string `json:"ExclusionFromCampaignsUpdatedAt"`
			}
		}
		query := url.Values{"IsExcludedFromCampaigns": {"true"}, "Limit": {strconv.Itoa(mailjetPage)}, "Offset": {strconv.Itoa(n * mailjetPage)}}
		if err := c.get(ctx, call{path: "/v3/REST/contact", query: query, signed: c.basic(c.Key.Reveal(), c.Secret.Reveal())}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Data {
			if err := yield(Listed{Address: e.Email, Kind: Manual, Since: stamp(e.Changed), Detail: "excluded from campaigns"}); err != nil {
				return false, err
			}
		}
		return len(page.Data) == mailjetPage, nil
	})
}
