package providerapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// brevoPage is the largest page.
const brevoPage = 100

// brevoKinds are its reason codes.
var brevoKinds = map[string]Kind{
	"unsubscribedViaMA": Unsubscribe, "unsubscribedViaEmail": Unsubscribe, "unsubscribedViaApi": Unsubscribe,
	"adminBlocked": Manual, "hardBounce": Bounce, "contactFlaggedAsSpam": Complaint,
}

// brevo reads the blocked contacts of transactional mail.
func brevo(ctx context.Context, c *client, yield yield) error {
	return pages(func(n int) (bool, error) {
		var page struct {
			Contacts []struct {
				Email, BlockedAt string
				Reason           struct{ Code, Message string }
			}
		}
		query := url.Values{"limit": {strconv.Itoa(brevoPage)}, "offset": {strconv.Itoa(n * brevoPage)}}
		if err := c.get(ctx, call{path: "/v3/smtp/blockedContacts", query: query, signed: c.header("Api-Key", c.Key.Reveal())}, &page); err != nil {
			return false, err
		}
		for _, e := range page.Contacts {
			if err := yield(Listed{Address: e.Email, Kind: kindOf(brevoKinds, e.Reason.Code), Since: stamp(e.BlockedAt), Detail: e.Reason.Message}); err != nil {
				return false, err
			}
		}
		return len(page.Contacts) == brevoPage, nil
	})
}

// brevoLift also resubscribes. Who is on the list of several senders is lifted for all.
func brevoLift(ctx context.Context, c *client, l Listed) error {
	return c.get(ctx, call{method: http.MethodDelete, path: "/v3/smtp/blockedContacts/" + url.PathEscape(l.Address), signed: c.header("Api-Key", c.Key.Reveal())}, nil)
}
