package providerapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// sendgridPage is the largest page.
const sendgridPage = 500

// sendgridLists is where an entry of a list is lifted.
var sendgridLists = map[string]string{
	"bounces": "/v3/suppression/bounces/", "invalid_emails": "/v3/suppression/invalid_emails/",
	"spam_reports": "/v3/suppression/spam_reports/", "unsubscribes": "/v3/asm/suppressions/global/",
}

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
			if err := yield(Listed{Address: a, Kind: Unsubscribe, List: id, at: "/v3/asm/groups/" + id + "/suppressions/"}); err != nil {
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
			if err := yield(Listed{Address: e.Email, Kind: kind, Since: time.Unix(e.Created, 0).UTC(), Detail: e.Reason, at: sendgridLists[name]}); err != nil {
				return false, err
			}
		}
		return len(page) == sendgridPage, nil
	})
}

// sendgridFind asks three lists, the global unsubscribes and the groups.
func sendgridFind(ctx context.Context, c *client, address string, yield yield) error {
	for _, l := range []struct {
		name string
		kind Kind
	}{{"bounces", Bounce}, {"invalid_emails", Bounce}, {"spam_reports", Complaint}} {
		var found []struct {
			Created       int64
			Email, Reason string
		}
		if err := c.get(ctx, call{path: "/v3/suppression/" + l.name + "/" + url.PathEscape(address), signed: c.bearer}, &found); err != nil && !notFound(err) {
			return fmt.Errorf("list %s: %w", l.name, err)
		}
		for _, e := range found {
			if err := yield(Listed{Address: e.Email, Kind: l.kind, Since: time.Unix(e.Created, 0).UTC(), Detail: e.Reason, at: sendgridLists[l.name]}); err != nil {
				return err
			}
		}
	}
	var everywhere struct {
		Email string `json:"recipient_email"`
	}
	if err := c.get(ctx, call{path: sendgridLists["unsubscribes"] + url.PathEscape(address), signed: c.bearer}, &everywhere); err != nil && !notFound(err) {
		return fmt.Errorf("global unsubscribes: %w", err)
	}
	if err := yield(Listed{Address: everywhere.Email, Kind: Unsubscribe, at: sendgridLists["unsubscribes"]}); err != nil {
		return err
	}
	var groups struct {
		Suppressions []struct {
			ID         int64 `json:"id"`
			Suppressed bool
		}
	}
	if err := c.get(ctx, call{path: "/v3/asm/suppressions/" + url.PathEscape(address), signed: c.bearer}, &groups); err != nil && !notFound(err) {
		return fmt.Errorf("unsubscribe groups: %w", err)
	}
	for _, g := range groups.Suppressions {
		if id := strconv.FormatInt(g.ID, 10); g.Suppressed {
			if err := yield(Listed{Address: address, Kind: Unsubscribe, List: id, at: "/v3/asm/groups/" + id + "/suppressions/"}); err != nil {
				return err
			}
		}
	}
	return nil
}

func sendgridLift(ctx context.Context, c *client, l Listed) error {
	return c.get(ctx, call{method: http.MethodDelete, path: l.at + url.PathEscape(l.Address), signed: c.bearer}, nil)
}

// sendgridTakes: a group has a number, which is its list here.
func sendgridTakes(a Account, l Listed) ([]Listed, string) {
	if _, err := strconv.ParseUint(l.List, 10, 63); l.List != "" && err != nil {
		return nil, "the list is not an unsubscribe group of sendgrid, which has a number"
	}
	group := l.List
	l.List = ""
	there, why := wholeAccount(a, l)
	for i := range there {
		there[i].List = group
	}
	return there, why
}

// sendgridAdd adds to the global unsubscribes, or to a group: bounces and complaints
// cannot be written.
func sendgridAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	for _, group := range byPlace(entries, func(l Listed) string { return l.List }) {
		path := "/v3/asm/suppressions/global"
		if id := group[0].List; id != "" {
			path = "/v3/asm/groups/" + id + "/suppressions"
		}
		body := map[string]any{"recipient_emails": addressesOf(group)}
		if err := c.get(ctx, call{method: http.MethodPost, path: path, body: body, signed: c.bearer}, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
