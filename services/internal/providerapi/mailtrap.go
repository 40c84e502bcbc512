package providerapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

const (
	// mailtrapMost is how many entries one answer has at most. There is no next page.
	mailtrapMost = 1000
	// mailtrapTransactional is its stream of transactional mail; the other is bulk.
	mailtrapTransactional = "transactional"
)

// mailtrapKinds are its types.
var mailtrapKinds = map[string]Kind{"hard bounce": Bounce, "spam complaint": Complaint, "unsubscription": Unsubscribe, "manual import": Manual}

// mailtrap reads the list, which is cut off at mailtrapMost: a longer one is an error, and
// never taken for whole.
func mailtrap(ctx context.Context, c *client, yield yield) error {
	return mailtrapFind(ctx, c, "", yield)
}

// mailtrapFind reads what the list has of one address, "" for all.
func mailtrapFind(ctx context.Context, c *client, address string, yield yield) error {
	query := url.Values{}
	if address != "" {
		query.Set("email", address)
	}
	var found []struct {
		ID, Type, Email string
		Stream          string `json:"sending_stream"`
		Reply           string `json:"message_esp_response"`
		CreatedAt       string `json:"created_at"`
	}
	if err := c.get(ctx, call{path: c.mailtrapPath(), query: query, signed: c.bearer}, &found); err != nil {
		return err
	}
	for _, e := range found {
		l := Listed{Address: e.Email, Kind: kindOf(mailtrapKinds, e.Type), Stream: e.Stream, Since: stamp(e.CreatedAt), Detail: e.Reply, at: e.ID}
		if err := yield(l); err != nil {
			return err
		}
	}
	if len(found) >= mailtrapMost {
		return fmt.Errorf("mailtrap answers with %d entries at most and has no next page, and there may be more: import the export of its web page", mailtrapMost)
	}
	return nil
}

func (c *client) mailtrapPath() string {
	return "/api/accounts/" + url.PathEscape(c.AccountID) + "/suppressions"
}

func mailtrapLift(ctx context.Context, c *client, l Listed) error {
	return c.get(ctx, call{method: http.MethodDelete, path: c.mailtrapPath() + "/" + url.PathEscape(l.at), signed: c.bearer}, nil)
}

// mailtrapTakes: an entry is of a domain and a stream, and an unsubscribe from all mail is
// none from transactional mail.
func mailtrapTakes(a Account, l Listed) ([]Listed, string) {
	if a.DomainID == "" {
		return nil, "mailtrap adds for a domain, and the account has no domain_id"
	}
	return byStream(l, []string{"bulk", mailtrapTransactional}, mailtrapTransactional)
}

func mailtrapAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	for _, l := range entries {
		kind := "manual import"
		for name, k := range mailtrapKinds {
			if k == l.Kind {
				kind = name
			}
		}
		body := map[string]any{"email": l.Address, "domain_id": json.Number(c.DomainID), "sending_stream": l.Stream, "type": kind}
		if err := c.get(ctx, call{method: http.MethodPost, path: c.mailtrapPath(), body: body, signed: c.bearer}, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
