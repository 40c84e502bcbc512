package providerapi

import (
	"context"
	"net/http"
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
			Data []mailjetContact
		}
		query := url.Values{"IsExcludedFromCampaigns": {"true"}, "Limit": {strconv.Itoa(mailjetPage)}, "Offset": {strconv.Itoa(n * mailjetPage)}}
		if err := c.get(ctx, call{path: "/v3/REST/contact", query: query, signed: c.mailjet}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Data {
			if err := yield(e.listed()); err != nil {
				return false, err
			}
		}
		return len(page.Data) == mailjetPage, nil
	})
}

// mailjetContact is a contact of the account.
type mailjetContact struct {
	Email    string
	Changed  string `json:"ExclusionFromCampaignsUpdatedAt"`
	Excluded bool   `json:"IsExcludedFromCampaigns"`
}

func (e mailjetContact) listed() Listed {
	return Listed{Address: e.Email, Kind: Manual, Since: stamp(e.Changed), Detail: "excluded from campaigns"}
}

// mailjet signs as Mailjet wants it.
func (c *client) mailjet(r *http.Request) error {
	return c.basic(c.Key.Reveal(), c.Secret.Reveal())(r)
}

func mailjetFind(ctx context.Context, c *client, address string, yield yield) error {
	var found struct{ Data []mailjetContact }
	if err := c.get(ctx, call{path: "/v3/REST/contact/" + url.PathEscape(address), signed: c.mailjet}, &found); err != nil && !notFound(err) {
		return err
	}
	for _, e := range found.Data {
		if e.Excluded {
			if err := yield(e.listed()); err != nil {
				return err
			}
		}
	}
	return nil
}

func mailjetLift(ctx context.Context, c *client, l Listed) error {
	return mailjetExclude(ctx, c, l.Address, false)
}

func mailjetExclude(ctx context.Context, c *client, address string, is bool) error {
	body := map[string]any{"IsExcludedFromCampaigns": is}
	return c.get(ctx, call{method: http.MethodPut, path: "/v3/REST/contact/" + url.PathEscape(address), body: body, signed: c.mailjet}, nil)
}

// mailjetAdd excludes a contact from campaigns, and makes a contact of an address that is not one yet.
func mailjetAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	for _, l := range entries {
		err := mailjetExclude(ctx, c, l.Address, true)
		if notFound(err) {
			body := map[string]any{"Email": l.Address, "IsExcludedFromCampaigns": true}
			err = c.get(ctx, call{method: http.MethodPost, path: "/v3/REST/contact", body: body, signed: c.mailjet}, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}
