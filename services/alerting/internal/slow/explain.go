package slow

import (
	"context"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// Spike is an incident of a rule that is judged from the stream.
type Spike struct {
	Rule   rule.Rule
	Labels map[string]string // of its key: a source and a domain or mailbox provider
}

// Carried is what is known of a Spike.
type Carried struct {
	Carriers []schemas.AlertCarrier
	// Stored are the bad messages of the window that ClickHouse has.
	Stored int64
}

// Explainer names who carries spikes that were judged from the stream, which counts no
// campaigns and addresses (decision 0033). Safe for several goroutines.
type Explainer struct{ engine *Engine }

// NewExplainer returns one that reads by sql, at most rowsMax rows a query. Bounces at the
// providers of literal are never blocks.
func NewExplainer(sql Selector, literal map[string]bool, rowsMax int64) *Explainer {
	return &Explainer{&Engine{sql: sql, opt: Options{RowsMax: rowsMax}, literal: words(literal), timeout: queryTimeout}}
}

// Explain returns, in their order, what is known of the spikes as of now. Those of one
// window share two queries, which read the events of their keys only.
func (x *Explainer) Explain(ctx context.Context, spikes []Spike, now time.Time) ([]Carried, error) {
	rules := make([]rule.Rule, 0, len(spikes))
	for _, s := range spikes {
		rules = append(rules, s.Rule)
	}
	found := make([]*Found, len(spikes))
	for _, q := range plan(rules, 0) {
		at, keys := span{now.Add(-q.window), now}, asked{}
		for i, s := range spikes {
			if s.Rule.Window != q.window {
				continue
			}
			for n, split := range q.splits {
				if source, key, ok := split.keyOf(s.Labels); ok && found[i] == nil {
					found[i] = &Found{Rule: s.Rule, Labels: s.Labels}
					keys[keyed(n, source, key)] = append(keys[keyed(n, source, key)], found[i])
				}
			}
		}
		if err := x.engine.carry(ctx, q, at, keys, narrowTo(keys)); err != nil {
			return nil, err
		}
	}
	out := make([]Carried, len(spikes))
	for i, f := range found {
		if f != nil {
			out[i] = Carried{f.Carriers, f.Stored}
		}
	}
	return out, nil
}

// narrowTo is a condition on events that those of the keys meet: all events of a message
// have one source, one domain and one mailbox provider, so none is torn apart.
func narrowTo(keys asked) narrow {
	var sources, domains, providers []string
	for _, found := range keys {
		l := found[0].Labels
		sources = append(sources, hexOf(l[schemas.LabelSource]))
		if d := l[schemas.DimensionDomain]; d != "" {
			domains = append(domains, hexOf(d))
		}
		if p := l[schemas.DimensionProvider]; p != "" {
			providers = append(providers, hexOf(p))
		}
	}
	return narrow{
		text: " AND has(arrayMap(name -> unhex(name), {sources:Array(String)}), source) AND (has(arrayMap(name -> unhex(name), {domains:Array(String)}), recipient_domain)" +
			" OR has(arrayMap(name -> unhex(name), {providers:Array(String)}), mailbox_provider))",
		args: []any{clickhouse.Arg("sources", array(sources)), clickhouse.Arg("domains", array(domains)), clickhouse.Arg("providers", array(providers))},
	}
}

// narrow is a further condition on the events of a statement.
type narrow struct {
	text string
	args []any
}
