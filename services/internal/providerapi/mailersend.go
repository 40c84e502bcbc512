package providerapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
				ID, Type, Pattern, Reason string
				CreatedAt                 string `json:"created_at"`
				Recipient                 struct{ Email string }
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
			if err := yield(Listed{Address: address, Kind: kind, Since: stamp(e.CreatedAt), Detail: e.Reason, at: name + "/" + e.ID}); err != nil {
				return false, err
			}
		}
		return page.Links.Next != nil && len(page.Data) > 0, nil
	})
}

// mailersendLift names the entry by its id; an address has none.
func mailersendLift(ctx context.Context, c *client, l Listed) error {
	list, id, _ := strings.Cut(l.at, "/")
	body := map[string]any{"ids": []string{id}}
	return c.get(ctx, call{method: http.MethodDelete, path: "/v1/suppressions/" + list, body: body, signed: c.bearer}, nil)
}

// mailersendTakes: what is added is of a domain.
func mailersendTakes(a Account, l Listed) ([]Listed, string) {
	if a.DomainID == "" {
		return nil, "mailersend adds to the lists of a domain, and the account has no domain_id"
	}
	return wholeAccount(a, l)
}

// mailersendAdd adds to the list of the kind.
func mailersendAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	list := func(l Listed) string {
		switch l.Kind {
		case Bounce:
			return "hard-bounces"
		case Complaint:
			return "spam-complaints"
		case Unsubscribe:
			return "unsubscribes"
		}
		return "blocklist"
	}
	for _, group := range byPlace(entries, list) {
		body := map[string]any{"domain_id": c.DomainID, "recipients": addressesOf(group)}
		if err := c.get(ctx, call{method: http.MethodPost, path: "/v1/suppressions/" + list(group[0]), body: body, signed: c.bearer}, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
