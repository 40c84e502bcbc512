package providerapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// sesKinds are its reasons.
var sesKinds = map[string]Kind{"BOUNCE": Bounce, "COMPLAINT": Complaint}

// ses reads the suppression list of the account in its region. The global list of Amazon
// has no API.
func ses(ctx context.Context, c *client, yield yield) error {
	token := ""
	return pages(func(int) (bool, error) {
		query := url.Values{"PageSize": {"1000"}}
		if token != "" {
			query.Set("NextToken", token)
		}
		var page struct {
			List      []sesEntry `json:"SuppressedDestinationSummaries"`
			NextToken string
		}
		if err := c.get(ctx, call{path: sesAddresses, query: query, signed: c.signV4}, &page); err != nil {
			return false, err
		}
		for _, e := range page.List {
			if err := yield(e.listed()); err != nil {
				return false, err
			}
		}
		token = page.NextToken
		return token != "", nil
	})
}

// sesAddresses is where the list is.
const sesAddresses = "/v2/email/suppression/addresses"

// sesEntry is an entry of the list.
type sesEntry struct {
	Address string  `json:"EmailAddress"`
	Reason  string  `json:"Reason"`
	Updated float64 `json:"LastUpdateTime"`
}

func (e sesEntry) listed() Listed {
	return Listed{Address: e.Address, Kind: kindOf(sesKinds, e.Reason), Since: time.UnixMilli(int64(e.Updated * 1000)).UTC(), Detail: e.Reason}
}

// sesFind asks for the address in lower case: the list keeps the case, and an entry in
// another one is only found by a sync.
func sesFind(ctx context.Context, c *client, address string, yield yield) error {
	var found struct {
		Entry sesEntry `json:"SuppressedDestination"`
	}
	if err := c.get(ctx, call{path: sesAddresses + "/" + url.PathEscape(address), signed: c.signV4}, &found); err != nil && !notFound(err) {
		return err
	}
	return yield(found.Entry.listed())
}

func sesLift(ctx context.Context, c *client, l Listed) error {
	return c.get(ctx, call{method: http.MethodDelete, path: sesAddresses + "/" + url.PathEscape(l.Address), signed: c.signV4}, nil)
}

// sesTakes: the list knows two reasons, and a wrong one would be a lie about the address.
func sesTakes(a Account, l Listed) ([]Listed, string) {
	if l.Kind != Bounce && l.Kind != Complaint {
		return nil, "ses takes bounces and complaints alone"
	}
	return wholeAccount(a, l)
}

func sesAdd(ctx context.Context, c *client, entries []Listed) ([]Refused, error) {
	for _, l := range entries {
		reason := "BOUNCE"
		if l.Kind == Complaint {
			reason = "COMPLAINT"
		}
		body := map[string]any{"EmailAddress": l.Address, "Reason": reason}
		if err := c.get(ctx, call{method: http.MethodPut, path: sesAddresses, body: body, signed: c.signV4}, nil); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// signV4 signs a request by Signature Version 4.
func (c *client) signV4(r *http.Request) error {
	sum := sha256.New()
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return err
		}
		if _, err := io.Copy(sum, body); err != nil {
			return err
		}
	}
	credentials := aws.Credentials{AccessKeyID: c.Key.Reveal(), SecretAccessKey: c.Secret.Reveal()}
	return v4.NewSigner().SignHTTP(r.Context(), credentials, r, hex.EncodeToString(sum.Sum(nil)), "ses", c.Region, c.opt.Clock())
}
