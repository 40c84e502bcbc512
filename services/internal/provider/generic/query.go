package generic

import "github.com/mailstream/mailstream/services/internal/provider"

// InQuery says whether a request with a query and no body is an event rather
// than a probe.
func (c Config) InQuery() bool { return c.Format == formatQuery }

// ReadsQuery says whether the configuration asks for it.
func (p *Provider) ReadsQuery() bool { return p.format == formatQuery }

// query takes the parameters of the URL and the fields of a form behind them as
// one item. Senders of this kind went over to JSON without a word, so a body of
// JSON is the item instead.
func (p *Provider) query(req *provider.Request, out *provider.Batch) error {
	form, ok := req.Parameters()
	switch {
	case !ok:
		return p.json(req.Body, req, out)
	case len(form) == 0:
		return nil // an empty request, posted to test the URL
	}
	fields, err := provider.ReadForm(form)
	if err != nil {
		return err
	}
	return p.json(provider.FormObject(fields), req, out)
}
