package providerapi

import (
	"context"
	"net/http"
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
			Data    []resendEntry
			HasMore bool `json:"has_more"`
		}
		if err := c.get(ctx, call{path: "/suppressions", query: query, signed: c.bearer}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Data {
			if err := yield(e.listed()); err != nil {
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

// resendEntry is an entry of the list.
type resendEntry struct {
	ID, Email, Origin string
	CreatedAt         string `json:"created_at"`
}

func (e resendEntry) listed() Listed {
	return Listed{Address: e.Email, Kind: kindOf(resendKinds, e.Origin), Since: stamp(e.CreatedAt), at: e.ID}
}

func resendFind(ctx context.Context, c *client, address string, yield yield) error {
	var e resendEntry
	if err := c.get(ctx, call{path: "/suppressions/" + url.PathEscape(address), signed: c.bearer}, &e); err != nil && !notFound(err) {
		return err
	}
	return yield(e.listed())
}

func resendLift(ctx context.Context, c *client, l Listed) error {
	return c.get(ctx, call{method: http.MethodDelete, path: "/suppressions/" + url.PathEscape(l.at), signed: c.bearer}, nil)
}

func resendAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	body := map[string]any{"emails": addressesOf(entries)}
	return nil, c.get(ctx, call{method: http.MethodPost, path: "/suppressions/batch/add", body: body, signed: c.bearer}, nil)
}
