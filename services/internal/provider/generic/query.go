package generic

import (
	"bytes"

	"github.com/mailstream/mailstream/services/internal/provider"
)

// InQuery says whether a request with a query and no body is an event rather
// than a probe.
func (c Config) InQuery() bool { return c.Format == formatQuery }

// query takes the parameters of the URL and the fields of a form behind them as
// one item. Senders of this kind went over to JSON without a word, so a body of
// JSON is the item instead.
func (p *Provider) query(req *provider.Request, out *provider.Batch) error {
	body := bytes.TrimSpace(bytes.TrimPrefix(req.Body, bom))
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		return p.json(req.Body, req, out)
	}
	text := []byte(req.Query)
	if len(text) > 0 && len(body) > 0 {
		text = append(text, '&')
	}
	if text = append(text, body...); len(text) == 0 {
		return nil // posted to see whether anybody is there
	}
	fields, err := provider.ReadForm(text)
	if err != nil {
		return err
	}
	return p.json(provider.FormObject(fields), req, out)
}
