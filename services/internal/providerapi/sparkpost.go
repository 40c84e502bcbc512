package providerapi

import "context"

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
			Results []struct {
				Recipient, Type, Source, Description, Created string
			}
			Links []struct{ Href, Rel string }
		}
		if err := c.get(ctx, call{path: next, signed: c.header("Authorization", c.Key.Reveal())}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Results {
			l := Listed{Address: e.Recipient, Kind: kindOf(sparkpostKinds, e.Source), Stream: e.Type, Since: stamp(e.Created), Detail: e.Description}
			if err := yield(l); err != nil {
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
