package providerapi

import (
	"context"
	"fmt"
	"net/url"
)

// postmarkKinds are its reasons.
var postmarkKinds = map[string]Kind{"HardBounce": Bounce, "SpamComplaint": Complaint, "ManualSuppression": Manual}

// postmark reads the dump of each stream, which has no pages.
func postmark(ctx context.Context, c *client, yield yield) error {
	streams := c.Streams
	if len(streams) == 0 {
		streams = []string{"outbound", "broadcast"}
	}
	for _, stream := range streams {
		var dump struct {
			Suppressions []struct {
				EmailAddress, SuppressionReason, Origin, CreatedAt string
			}
		}
		err := c.get(ctx, call{
			path:   "/message-streams/" + url.PathEscape(stream) + "/suppressions/dump",
			signed: c.header("X-Postmark-Server-Token", c.Key.Reveal()),
		}, &dump)
		if err != nil {
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

// kindOf takes a reason that is not known for one of the provider's own.
func kindOf(kinds map[string]Kind, reason string) Kind {
	if k, ok := kinds[reason]; ok {
		return k
	}
	return Manual
}
