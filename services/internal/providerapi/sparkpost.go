package providerapi

import (
	"context"
	"net/http"
	"net/url"
)

// sparkpostKinds are its sources.
var sparkpostKinds = map[string]Kind{
	"Spam Complaint": Complaint, "List Unsubscribe": Unsubscribe, "Unsubscribe Link": Unsubscribe,
	"Bounce Rule": Bounce, "Manually Added": Manual, "Compliance": Manual,
}

// sparkpost reads the list by cursor. An entry is of transactional mail or of the rest,
// which are its streams here.
func sparkpost(ctx context.Context, c *client, yield yield) error {
	next := "/api/v1/suppression-list?cursor=initial&per_page=10000"
	return pages(func(int) (bool, error) {
		var page struct {
			Results []sparkpostEntry
			Links   []struct{ Href, Rel string }
		}
		if err := c.get(ctx, call{path: next, signed: c.sparkpost}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Results {
			if err := yield(e.listed()); err != nil {
				return false, err
			}
		}
		next = ""
		for _, l := range page.Links {
			if l.Rel == "next" {
				next = l.Href
			}
		}
		return next != "", nil
	})
}

// sparkpostEntry is an entry of the list.
type sparkpostEntry struct {
	Recipient, Type, Source, Description, Created string
}

func (e sparkpostEntry) listed() Listed {
	return Listed{Address: e.Recipient, Kind: kindOf(sparkpostKinds, e.Source), Stream: e.Type, Since: stamp(e.Created), Detail: e.Description, at: e.Source}
}

// sparkpost signs as SparkPost wants it.
func (c *client) sparkpost(r *http.Request) error {
	return c.header("Authorization", c.Key.Reveal())(r)
}

// sparkpostFind may be twenty minutes behind what was added.
func sparkpostFind(ctx context.Context, c *client, address string, yield yield) error {
	var found struct{ Results []sparkpostEntry }
	if err := c.get(ctx, call{path: "/api/v1/suppression-list/" + url.PathEscape(address), signed: c.sparkpost}, &found); err != nil && !notFound(err) {
		return err
	}
	for _, e := range found.Results {
		if err := yield(e.listed()); err != nil {
			return err
		}
	}
	return nil
}

// sparkpostLift lifts the entry of one type of mail.
func sparkpostLift(ctx context.Context, c *client, l Listed) error {
	if l.at == "Compliance" {
		return ErrKept
	}
	body := map[string]any{"type": l.Stream}
	return c.get(ctx, call{method: http.MethodDelete, path: "/api/v1/suppression-list/" + url.PathEscape(l.Address), body: body, signed: c.sparkpost}, nil)
}

// The types of mail of SparkPost.
const (
	sparkpostTransactional = "transactional"
	sparkpostOther         = "non_transactional"
)

// sparkpostTakes: an unsubscribe from all mail does not reach transactional mail.
func sparkpostTakes(_ Account, l Listed) ([]Listed, string) {
	return byStream(l, []string{sparkpostOther, sparkpostTransactional}, sparkpostTransactional)
}

func sparkpostAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	type recipient struct {
		Recipient   string `json:"recipient"`
		Type        string `json:"type"`
		Description string `json:"description,omitempty"`
	}
	recipients := make([]recipient, len(entries))
	for i, l := range entries {
		recipients[i] = recipient{l.Address, l.Stream, string(l.Kind)}
	}
	body := map[string]any{"recipients": recipients}
	return nil, c.get(ctx, call{method: http.MethodPut, path: "/api/v1/suppression-list", body: body, signed: c.sparkpost}, nil)
}
