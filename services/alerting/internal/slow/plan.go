package slow

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/messages.sql
var messagesSQL string

//go:embed sql/outcomes.sql
var outcomesSQL string

//go:embed sql/events.sql
var eventsSQL string

//go:embed sql/volume.sql
var volumeSQL string

//go:embed sql/expected.sql
var expectedSQL string

//go:embed sql/last.sql
var lastSQL string

//go:embed sql/late.sql
var lateSQL string

//go:embed sql/carriers.sql
var carriersSQL string

// kind is which statement reads a metric.
type kind uint8

const (
	outcomes kind = iota // what became of messages
	events               // all events, one by one
	volume               // events beside the weeks before
	silence              // when a source was last heard
	lateness             // how long events were under way
)

func kindOf(name string) kind {
	switch name {
	case metric.UnknownShare:
		return events
	case metric.VolumeDrop:
		return volume
	case metric.Silence:
		return silence
	case metric.Lateness:
		return lateness
	default:
		return outcomes
	}
}

// scope is what one query reads; rules that differ in nothing else share it.
type scope struct {
	kind     kind
	by       string
	together bool
	match    rule.Match
	window   time.Duration
}

// query is a scope with the rules over it and when it was read.
type query struct {
	scope
	rules []rule.Rule
	pace  time.Duration
	dueAt time.Time
	okAt  time.Time // when it was last read
	usual baseline
}

// plan divides the rules into queries: as few as there are scopes.
func plan(rules []rule.Rule, pace time.Duration) []*query {
	var out []*query
	for _, r := range rules {
		for _, by := range r.By {
			s := scope{kindOf(r.Metric), by, r.Together, r.Match, r.Window}
			var q *query
			for _, have := range out {
				if reflect.DeepEqual(have.scope, s) {
					q = have
				}
			}
			if q == nil {
				q = &query{scope: s, pace: max(pace, min(r.Window/60, 5*pace))}
				out = append(out, q)
			}
			q.rules = append(q.rules, r)
		}
	}
	return out
}

// label is the key of one row as labels of an alert.
func (s scope) labels(source, key string) map[string]string {
	switch {
	case s.by == metric.All, s.by == metric.Source, s.together:
		return map[string]string{s.by: key}
	default:
		return map[string]string{schemas.LabelSource: source, s.by: key}
	}
}

// keyOf is the reverse of labels, in the form the statements compare; ok is false
// for labels of another scope.
func (s scope) keyOf(labels map[string]string) (key string, ok bool) {
	value, has := labels[s.by]
	source := labels[schemas.LabelSource]
	if s.by == metric.Source {
		source = ""
	}
	if !has || len(labels) != len(s.labels("", "")) {
		return "", false
	}
	return hexed(source, value), true
}

// hexed keeps names, which are anything, from needing quotes in a parameter.
func hexed(source, key string) string {
	return hexOf(source) + "-" + hexOf(key)
}

// expressions are what stands for the dimension in a statement over messages and in
// one over events.
func (s scope) expressions() (message, event string) {
	switch s.by {
	case schemas.DimensionDomain:
		return "domain_of", "recipient_domain"
	case schemas.DimensionProvider:
		return "provider_of", "mailbox_provider"
	case metric.Source:
		return "source_of", "source"
	case metric.Campaign:
		return "campaign_of", "campaign"
	case metric.SendingIP:
		return "ip_of", "sending_ip"
	case metric.Tag:
		return "arrayJoin(tags_of)", "arrayJoin(tags)"
	default:
		return "'all'", "'all'"
	}
}

// statement puts messages.sql and the words of the scope into text.
func (s scope) statement(text string) string {
	message, event := s.expressions()
	key, source := event, "source"
	if s.kind == outcomes {
		key, source = message, "source_of"
	}
	if s.together || s.by == metric.Source || s.by == metric.All {
		source = "''"
	}
	return strings.NewReplacer("{{source}}", "toString("+source+")", "{{key}}", "toString("+key+")", "{{match}}", matchText(s.match)).
		Replace(strings.Replace(text, "{{messages}}", messagesSQL, 1))
}

// matchText is the condition of a match. What has no cause and no reason passes
// both.
func matchText(m rule.Match) string {
	var b strings.Builder
	for _, f := range matchFields(m) {
		in, out := split(f.words)
		may := ""
		if f.empty {
			may = f.column + " = '' OR "
		}
		if len(in) > 0 {
			fmt.Fprintf(&b, " AND (%shas({match_%s:Array(String)}, hex(%s)))", may, f.name, f.column)
		}
		if len(out) > 0 {
			fmt.Fprintf(&b, " AND NOT has({unmatch_%s:Array(String)}, hex(%s))", f.name, f.column)
		}
	}
	return b.String()
}

func matchArgs(m rule.Match) (args []any) {
	for _, f := range matchFields(m) {
		in, out := split(f.words)
		if len(in) > 0 {
			args = append(args, clickhouse.Arg("match_"+f.name, array(in)))
		}
		if len(out) > 0 {
			args = append(args, clickhouse.Arg("unmatch_"+f.name, array(out)))
		}
	}
	return args
}

type matchField struct {
	name, column string
	empty        bool // an event may have none, and passes then
	words        []string
}

func matchFields(m rule.Match) []matchField {
	return []matchField{
		{"cause", "cause", true, m.Cause},
		{"reason", "reason", true, m.Reason},
		{"type", "type", false, m.Type},
		{"stream", "metadata['stream']", false, m.Stream},
	}
}

// split divides words into those wanted and those not, in hexadecimal.
func split(words []string) (in, out []string) {
	for _, w := range words {
		if not, ok := strings.CutPrefix(w, "!"); ok {
			out = append(out, hexOf(not))
		} else {
			in = append(in, hexOf(w))
		}
	}
	return in, out
}

// array renders a parameter of type Array(String); the words need no escape.
func array(words []string) string {
	if len(words) == 0 {
		return "[]"
	}
	return "['" + strings.Join(words, "','") + "']"
}

// numbers renders a parameter of type Array(Int64).
func numbers(list []int64) string {
	return strings.ReplaceAll(fmt.Sprint(list), " ", ",")
}

// hexOf is a name as hex() writes it.
func hexOf(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }
