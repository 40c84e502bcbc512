package providerapi

import (
	"context"
	"errors"
	"net/http"
)

// mandrillKinds are its reasons.
var mandrillKinds = map[string]Kind{"hard-bounce": Bounce, "soft-bounce": Bounce, "spam": Complaint, "unsub": Unsubscribe, "custom": Manual}

// mandrillReject is an entry of its list.
type mandrillReject struct {
	Email, Reason, Detail string
	CreatedAt             string `json:"created_at"`
	Expired               bool
}

// mandrill reads the rejects that are in force, in one answer.
func mandrill(ctx context.Context, c *client, yield yield) error {
	return mandrillFind(ctx, c, "", yield)
}

// mandrillFind reads those of one address, "" for all.
func mandrillFind(ctx context.Context, c *client, address string, yield yield) error {
	request := map[string]any{"include_expired": false}
	if address != "" {
		request["email"] = address
	}
	var rejects []mandrillReject
	if err := c.get(ctx, c.mandrill("", "list", request), &rejects); err != nil {
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

// mandrill is a call on the rejects. The key is in the body.
func (c *client) mandrill(method, name string, request map[string]any) call {
	request["key"] = c.Key.Reveal()
	unsigned := c.header("Accept", "application/json")
	return call{method: method, path: "/api/1.0/rejects/" + name, body: request, signed: unsigned}
}

func mandrillLift(ctx context.Context, c *client, l Listed) error {
	var answer struct{ Deleted bool }
	err := c.get(ctx, c.mandrill(http.MethodPost, "delete", map[string]any{"email": l.Address}), &answer)
	if err == nil && !answer.Deleted {
		return ErrKept
	}
	return err
}

func mandrillAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	for _, l := range entries {
		var answer struct{ Added bool }
		request := map[string]any{"email": l.Address, "comment": string(l.Kind)}
		if err := c.get(ctx, c.mandrill(http.MethodPost, "add", request), &answer); err != nil {
			return nil, err
		}
		if !answer.Added {
			return nil, errors.New("the answer does not say that the address was added")
		}
	}
	return nil, nil
}
