package providerapi

import "context"

// mandrillKinds are its reasons.
var mandrillKinds = map[string]Kind{"hard-bounce": Bounce, "soft-bounce": Bounce, "spam": Complaint, "unsub": Unsubscribe, "custom": Manual}

// mandrill reads the rejects that are in force, in one answer. The key is in the body.
func mandrill(ctx context.Context, c *client, yield yield) error {
	var rejects []struct {
		Email, Reason, Detail string
		CreatedAt             string `json:"created_at"`
		Expired               bool
	}
	request := struct {
		Key     string `json:"key"`
		Expired bool   `json:"include_expired"`
	}{Key: c.Key.Reveal()}
	unsigned := c.header("Accept", "application/json")
	if err := c.get(ctx, call{path: "/api/1.0/rejects/list", body: request, signed: unsigned}, &rejects); err != nil {
		return err
	}
	for _, e := range rejects {
		if e.Expired {
			continue
		}
		if err := yield(Listed{Address: e.Email, Kind: kindOf(mandrillKinds, e.Reason), Since: stamp(e.CreatedAt), Detail: e.Detail}); err != nil {
			return err
		}
	}
	return nil
}
