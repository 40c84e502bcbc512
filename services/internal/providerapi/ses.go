package providerapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
			List []struct {
				Address string  `json:"EmailAddress"`
				Reason  string  `json:"Reason"`
				Updated float64 `json:"LastUpdateTime"`
			} `json:"SuppressedDestinationSummaries"`
			NextToken string
		}
		if err := c.get(ctx, call{path: "/v2/email/suppression/addresses", query: query, signed: c.signV4}, &page); err != nil {
			return false, err
		}
		for _, e := range page.List {
			l := Listed{Address: e.Address, Kind: kindOf(sesKinds, e.Reason), Since: time.UnixMilli(int64(e.Updated * 1000)).UTC(), Detail: e.Reason}
			if err := yield(l); err != nil {
				return false, err
			}
		}
		token = page.NextToken
		return token != "", nil
	})
}

// signV4 signs a request without a body by Signature Version 4.
func (c *client) signV4(r *http.Request) error {
	empty := sha256.Sum256(nil)
	credentials := aws.Credentials{AccessKeyID: c.Key.Reveal(), SecretAccessKey: c.Secret.Reveal()}
	return v4.NewSigner().SignHTTP(r.Context(), credentials, r, hex.EncodeToString(empty[:]), "ses", c.Region, c.opt.Clock())
}
