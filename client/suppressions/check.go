package suppressions

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"
)

// batchMax is how many addresses the service takes in one check.
const batchMax = 10_000

// entry is what suppresses, as the service answers it.
type entry struct {
	Address string     `json:"address"`
	Reason  string     `json:"reason"`
	Scope   string     `json:"scope"`
	Note    string     `json:"note"`
	Since   time.Time  `json:"since"`
	Expires *time.Time `json:"expires"`
}

// verdict is on address, as it was asked about.
func (e entry) verdict(address string) Verdict {
	v := Verdict{Address: address, Suppressed: true, Reason: e.Reason, Scope: e.Scope, Note: e.Note, Since: e.Since}
	if e.Expires != nil {
		v.Expires = *e.Expires
	}
	return v
}

// sent is address as JSON carries it: with U+FFFD for each byte that is not UTF-8.
func sent(address string) string {
	if utf8.ValidString(address) {
		return address
	}
	return string([]rune(address))
}

type checkRequest struct {
	Addresses []string `json:"addresses"`
	Stream    string   `json:"stream,omitempty"`
	List      string   `json:"list,omitempty"`
	Source    string   `json:"source,omitempty"`
	MinToken  string   `json:"min_token,omitempty"`
}

type checkAnswer struct {
	Suppressed []entry `json:"suppressed"`
	Checked    int     `json:"checked"`
	Invalid    []struct {
		Index int    `json:"index"`
		Error string `json:"error"`
	} `json:"invalid"`
	Stale bool `json:"stale"`
}

// Check returns what is known of each of addresses, in their order. More than 10,000 are
// asked about one part after the other. The error is one of the service or of ctx; there
// are verdicts or an error, never both.
func (c *Client) Check(ctx context.Context, mail Mail, addresses ...string) ([]Verdict, error) {
	out := make([]Verdict, len(addresses))
	var ask []int // what is not known yet
	for i, a := range addresses {
		kept := false
		if c.cache != nil && mail.MinToken == "" {
			out[i], kept = c.cache.get(mail, a)
		}
		if !kept {
			ask = append(ask, i)
		}
	}
	for part := range slices.Chunk(ask, batchMax) {
		if err := c.ask(ctx, mail, part, addresses, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ask fills in the verdicts of the addresses at part.
func (c *Client) ask(ctx context.Context, mail Mail, part []int, addresses []string, out []Verdict) error {
	req := checkRequest{Stream: mail.Stream, List: mail.List, Source: mail.Source, MinToken: mail.MinToken}
	for _, i := range part {
		req.Addresses = append(req.Addresses, addresses[i])
	}
	var answer checkAnswer
	verdicts, err := []Verdict(nil), c.call(ctx, "/v1/suppressions/check", req, &answer)
	if err == nil {
		verdicts, err = answer.verdicts(req.Addresses)
	}
	if err != nil {
		if ctx.Err() != nil || !passing(err) || c.cfg.Policy == FailWithError {
			return err
		}
		for _, i := range part {
			out[i] = c.assumed(addresses[i])
		}
		return nil
	}
	for i, v := range verdicts {
		out[part[i]] = v
		if c.cache != nil && !v.Stale {
			c.cache.put(mail, v)
		}
	}
	return nil
}

// assumed is the verdict on an address that the service could not be asked about.
func (c *Client) assumed(address string) Verdict {
	return Verdict{Address: address, Suppressed: c.cfg.Policy == FailClosed, Assumed: true}
}

// verdicts returns those on asked. Both parts of an answer are in the order asked; one
// that leaves somebody out, or names somebody else, must not be taken for "allowed".
func (a *checkAnswer) verdicts(asked []string) ([]Verdict, error) {
	listed, invalid := a.Suppressed, a.Invalid
	out := make([]Verdict, len(asked))
	for i, address := range asked {
		v := Verdict{Address: address}
		switch {
		case len(invalid) > 0 && invalid[0].Index == i:
			v.Suppressed, v.Fault = true, invalid[0].Error
			invalid = invalid[1:]
		case len(listed) > 0 && listed[0].Address == sent(address):
			v = listed[0].verdict(address)
			listed = listed[1:]
		}
		v.Stale = a.Stale
		out[i] = v
	}
	if a.Checked+len(a.Invalid) != len(asked) || len(listed)+len(invalid) > 0 {
		return nil, errors.New("suppressions: the answer is not about the addresses that were asked about")
	}
	return out, nil
}
