package providerapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// postmarkKinds are its reasons.
var postmarkKinds = map[string]Kind{"HardBounce": Bounce, "SpamComplaint": Complaint, "ManualSuppression": Manual}

// postmarkStreams are the message streams of an account that names none.
var postmarkStreams = []string{postmarkTransactional, "broadcast"}

// postmarkTransactional is the stream that every server has for transactional mail.
const postmarkTransactional = "outbound"

// streams are the message streams of an account.
func (a Account) streams() []string {
	if len(a.Streams) == 0 {
		return postmarkStreams
	}
	return a.Streams
}

// postmark reads the dump of each stream, which has no pages.
func postmark(ctx context.Context, c *client, yield yield) error {
	return postmarkFind(ctx, c, "", yield)
}

// postmarkFind reads what the dumps have of one address, "" for all.
func postmarkFind(ctx context.Context, c *client, address string, yield yield) error {
	query := url.Values{}
	if address != "" {
		query.Set("EmailAddress", address)
	}
	for _, stream := range c.streams() {
		var dump struct {
			Suppressions []struct {
				EmailAddress, SuppressionReason, Origin, CreatedAt string
			}
		}
		if err := c.get(ctx, call{path: postmarkPath(stream) + "/dump", query: query, signed: c.postmark}, &dump); err != nil {
			return fmt.Errorf("stream %s: %w", stream, err)
		}
		for _, e := range dump.Suppressions {
			kind := kindOf(postmarkKinds, e.SuppressionReason)
			if kind == Manual && e.Origin == "Recipient" {
				kind = Unsubscribe
			}
			if err := yield(Listed{Address: e.EmailAddress, Kind: kind, Stream: stream, Since: stamp(e.CreatedAt), Detail: e.SuppressionReason}); err != nil {
				return err
			}
		}
	}
	return nil
}

func postmarkPath(stream string) string {
	return "/message-streams/" + url.PathEscape(stream) + "/suppressions"
}

// postmark signs as Postmark wants it.
func (c *client) postmark(r *http.Request) error {
	return c.header("X-Postmark-Server-Token", c.Key.Reveal())(r)
}

// postmarkChange adds or deletes addresses of one stream. Each has a status of its own.
func postmarkChange(ctx context.Context, c *client, path string, entries []Listed) (refused []Refused, err error) {
	type address struct{ EmailAddress string }
	addresses := make([]address, len(entries))
	for i, l := range entries {
		addresses[i].EmailAddress = l.Address
	}
	var answer struct {
		Suppressions []struct{ EmailAddress, Status, Message string }
	}
	body := map[string]any{"Suppressions": addresses}
	if err := c.get(ctx, call{method: http.MethodPost, path: path, body: body, signed: c.postmark}, &answer); err != nil {
		return nil, err
	}
	for _, e := range answer.Suppressions {
		if e.Status == "Failed" {
			refused = append(refused, Refused{Listed{Address: e.EmailAddress, Stream: entries[0].Stream}, e.Message})
		}
	}
	return refused, nil
}

// postmarkLift cannot lift a complaint: Postmark does not let go of it.
func postmarkLift(ctx context.Context, c *client, l Listed) error {
	if l.Kind == Complaint {
		return ErrKept
	}
	refused, err := postmarkChange(ctx, c, postmarkPath(l.Stream)+"/delete", []Listed{l})
	if err == nil && len(refused) > 0 {
		return ErrKept
	}
	return err
}

// postmarkTakes: an unsubscribe from all mail does not reach transactional mail.
func postmarkTakes(a Account, l Listed) ([]Listed, string) {
	return byStream(l, a.streams(), postmarkTransactional)
}

func postmarkAdd(ctx context.Context, c *client, entries []Listed) (refused []Refused, err error) {
	for _, group := range byPlace(entries, func(l Listed) string { return l.Stream }) {
		some, err := postmarkChange(ctx, c, postmarkPath(group[0].Stream), group)
		if err != nil {
			return nil, err
		}
		refused = append(refused, some...)
	}
	return refused, nil
}

// kindOf takes a reason that is not known for one of the provider's own.
func kindOf(kinds map[string]Kind, reason string) Kind {
	if k, ok := kinds[reason]; ok {
		return k
	}
	return Manual
}
