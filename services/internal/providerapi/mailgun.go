package providerapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// mailgunLists are its lists, each of a domain.
var mailgunLists = []struct {
	name string
	kind Kind
}{{"bounces", Bounce}, {"complaints", Complaint}, {"unsubscribes", Unsubscribe}}

// mailgun reads three lists of each domain. The last page is empty, and names itself as
// the next.
func mailgun(ctx context.Context, c *client, yield yield) error {
	for _, domain := range c.Domains {
		for _, l := range mailgunLists {
			at := mailgunPath(domain, l.name)
			named := func(e Listed) error {
				e.Kind, e.Domain, e.at = l.kind, domain, at
				return yield(e)
			}
			if err := mailgunList(ctx, c, at+"?limit=1000", named); err != nil {
				return fmt.Errorf("list %s of %s: %w", l.name, domain, err)
			}
		}
	}
	return nil
}

func mailgunPath(domain, list string) string { return "/v3/" + url.PathEscape(domain) + "/" + list }

func mailgunList(ctx context.Context, c *client, next string, yield yield) error {
	return pages(func(int) (bool, error) {
		var page struct {
			Items  []mailgunEntry
			Paging struct{ Next string }
		}
		if err := c.get(ctx, call{path: next, signed: c.mailgun}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Items {
			if err := yield(e.listed()); err != nil {
				return false, err
			}
		}
		next = page.Paging.Next
		return len(page.Items) > 0 && next != "", nil
	})
}

// mailgunEntry is an item of a list.
type mailgunEntry struct {
	Address   string
	Error     string
	CreatedAt string `json:"created_at"`
}

func (e mailgunEntry) listed() Listed {
	return Listed{Address: e.Address, Since: stamp(e.CreatedAt), Detail: e.Error}
}

// mailgun signs as Mailgun wants it.
func (c *client) mailgun(r *http.Request) error { return c.basic("api", c.Key.Reveal())(r) }

// mailgunFind asks each list of each domain.
func mailgunFind(ctx context.Context, c *client, address string, yield yield) error {
	for _, domain := range c.Domains {
		for _, l := range mailgunLists {
			var e mailgunEntry
			at := mailgunPath(domain, l.name)
			if err := c.get(ctx, call{path: at + "/" + url.PathEscape(address), signed: c.mailgun}, &e); err != nil && !notFound(err) {
				return fmt.Errorf("list %s of %s: %w", l.name, domain, err)
			}
			found := e.listed()
			found.Kind, found.Domain, found.at = l.kind, domain, at
			if err := yield(found); err != nil {
				return err
			}
		}
	}
	return nil
}

func mailgunLift(ctx context.Context, c *client, l Listed) error {
	return c.get(ctx, call{method: http.MethodDelete, path: l.at + "/" + url.PathEscape(l.Address), signed: c.mailgun}, nil)
}

// mailgunTakes: each domain has lists of its own.
func mailgunTakes(a Account, l Listed) (there []Listed, why string) {
	if _, why = wholeAccount(a, l); why != "" {
		return nil, why
	}
	for _, l.Domain = range a.Domains {
		there = append(there, l)
	}
	return there, ""
}

// mailgunAdd adds to the list of the kind; what a person added becomes an unsubscribe
// from all mail of the domain.
func mailgunAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	type item struct {
		Address string   `json:"address"`
		Code    string   `json:"code,omitempty"`
		Error   string   `json:"error,omitempty"`
		Tags    []string `json:"tags,omitempty"`
	}
	path := func(l Listed) string {
		for _, list := range mailgunLists {
			if list.kind == l.Kind {
				return mailgunPath(l.Domain, list.name)
			}
		}
		return mailgunPath(l.Domain, "unsubscribes")
	}
	for _, group := range byPlace(entries, path) {
		items := make([]item, len(group))
		for i, l := range group {
			items[i].Address = l.Address
			switch l.Kind {
			case Bounce:
				items[i].Code, items[i].Error = "550", l.Detail
			case Unsubscribe, Manual:
				items[i].Tags = []string{"*"}
			}
		}
		if err := c.get(ctx, call{method: http.MethodPost, path: path(group[0]), body: items, signed: c.mailgun}, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
