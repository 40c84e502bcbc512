package generic

import "github.com/mailstream/mailstream/services/internal/provider"

// form takes the fields as one item, or the JSON in one of them.
func (p *Provider) form(req *provider.Request, out *provider.Batch) error {
	fields, err := provider.ReadForm(req.Body)
	if err != nil {
		return err
	}
	if p.field == "" {
		return p.json(provider.FormObject(fields), req, out)
	}
	for _, f := range fields {
		if f.Name == p.field {
			return p.json([]byte(f.Value), req, out)
		}
	}
	return &provider.FormError{What: "the form has no field with items"}
}
