package slow

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/messages.sql
var messagesSQL string

//go:embed sql/counts.sql
var countsSQL string

//go:embed sql/outcomes.sql
var outcomesSQL string

//go:embed sql/events.sql
var eventsSQL string

//go:embed sql/usual.sql
var usualSQL string

//go:embed sql/expected.sql
var expectedSQL string

//go:embed sql/last.sql
var lastSQL string

//go:embed sql/newest.sql
var newestSQL string

//go:embed sql/late.sql
var lateSQL string

//go:embed sql/carriers.sql
var carriersSQL string

//go:embed sql/carriers_events.sql
var carriersEventsSQL string

//go:embed sql/carriers_late.sql
var carriersLateSQL string

//go:embed sql/reasons.sql
var reasonsSQL string

//go:embed sql/history_messages.sql
var historyMessagesSQL string

//go:embed sql/history_events.sql
var historyEventsSQL string

//go:embed sql/history_late.sql
var historyLateSQL string

//go:embed sql/history_heard.sql
var historyHeardSQL string

// kind is which statement reads a metric.
type kind uint8

const (
	outcomes kind = iota // what became of messages
	events               // all events, one by one
	volume               // events beside the weeks before
	silence              // when a source was last heard
	lateness             // how long events were under way
	lag                  // how long ago a source was last heard
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
	case metric.Lag:
		return lag
	default:
		return outcomes
	}
}

// scope is what one query reads; rules that differ in nothing else share it, however
// they split what was read.
type scope struct {
	kind   kind
	match  rule.Match
	window time.Duration
}

// split is one way to divide what a query reads into keys.
type split struct {
	by       string
	together bool
	rules    []rule.Rule // over these keys
}

// query is a scope with its splits and when it was read.
type query struct {
	scope
	splits []split
	pace   time.Duration
	dueAt  time.Time
	okAt   time.Time // when it was last read
	failed int       // readings that went wrong since
	usual  baseline
	volume volumes
	asSeen bool // without what a replay corrected
}

// plan divides the rules into queries: as few as there are scopes.
func plan(rules []rule.Rule, pace time.Duration) []*query {
	var out []*query
	for _, r := range rules {
		s := scope{kindOf(r.Metric), r.Match, r.Window}
		i := slices.IndexFunc(out, func(q *query) bool { return reflect.DeepEqual(q.scope, s) })
		if i < 0 {
			i, out = len(out), append(out, &query{scope: s, pace: max(pace, min(r.Window/60, 5*pace))})
		}
		for _, by := range r.By {
			out[i].add(r, by)
		}
	}
	return out
}

func (q *query) add(r rule.Rule, by string) {
	i := slices.IndexFunc(q.splits, func(s split) bool { return s.by == by && s.together == r.Together })
	if i < 0 {
		i, q.splits = len(q.splits), append(q.splits, split{by: by, together: r.Together})
	}
	q.splits[i].rules = append(q.splits[i].rules, r)
}

// rules returns the rules over q, each once.
func (q *query) rules() (out []rule.Rule) {
	for _, s := range q.splits {
		for _, r := range s.rules {
			if !slices.ContainsFunc(out, func(have rule.Rule) bool { return have.Name == r.Name }) {
				out = append(out, r)
			}
		}
	}
	return out
}

// dimensions names what q splits by, for a message.
func (q *query) dimensions() string {
	var names []string
	for _, s := range q.splits {
		names = append(names, s.by)
	}
	return strings.Join(names, ", ")
}

// alone says whether the key is not within a source.
func (s split) alone() bool { return s.together || s.by == metric.Source || s.by == metric.All }

// labels is the key of one row as labels of an alert.
func (s split) labels(source, key string) map[string]string {
	if s.alone() {
		return map[string]string{s.by: key}
	}
	return map[string]string{schemas.LabelSource: source, s.by: key}
}

// keyOf is the reverse of labels; ok is false for labels of another split.
func (s split) keyOf(labels map[string]string) (source, key string, ok bool) {
	key, has := labels[s.by]
	if !has || len(labels) != len(s.labels("", "")) {
		return "", "", false
	}
	if !s.alone() {
		source = labels[schemas.LabelSource]
	}
	return source, key, true
}

// keyed names a key of the i-th split, as the statements do.
func keyed(i int, source, key string) string {
	return fmt.Sprintf("%d\x00%s\x00%s", i, source, key)
}

// column is a dimension: its name in messages.sql and in the tables.
type column struct{ message, event string }

func columnOf(by string) column {
	switch by {
	case schemas.DimensionDomain:
		return column{"domain_of", "recipient_domain"}
	case schemas.DimensionProvider:
		return column{"provider_of", "mailbox_provider"}
	case metric.Campaign:
		return column{"campaign_of", "campaign"}
	case metric.SendingIP:
		return column{"ip_of", "sending_ip"}
	case metric.SendingDomain:
		return column{"sender_of", "sending_domain"}
	case metric.IPPool:
		return column{"pool_of", "ip_pool"}
	case metric.Tag:
		return column{"tags_of", "tags"}
	default:
		return column{"source_of", "source"}
	}
}

// columns are those that the splits need, for a statement over events.
func (q *query) columns() string {
	list := []string{"source AS source_of"}
	for _, s := range q.splits {
		c := columnOf(s.by)
		if text := c.event + " AS " + c.message; !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return strings.Join(list, ", ")
}

// keys is an expression: all keys of one message or event, as tuples of the number of
// the split, the source and the value.
func (q *query) keys() string {
	one, many := []string{}, []string{}
	for i, s := range q.splits {
		source, value := "toString(source_of)", "toString("+columnOf(s.by).message+")"
		if s.alone() {
			source = "''"
		}
		switch s.by {
		case metric.All:
			one = append(one, fmt.Sprintf("(%d, '', 'all')", i))
		case metric.Tag:
			many = append(many, fmt.Sprintf("arrayMap(tag -> (%d, %s, tag), tags_of)", i, source))
		default:
			one = append(one, fmt.Sprintf("(%d, %s, %s)", i, source, value))
		}
	}
	if len(one) > 0 {
		many = append(many, "["+strings.Join(one, ", ")+"]")
	}
	return "arrayConcat(" + strings.Join(many, ", ") + ")"
}

// statement puts the other files and the words of the query into text. The words come
// out of a fixed list; values are parameters.
func (q *query) statement(text string) string {
	match := matchText(q.match)
	if q.asSeen {
		match += " AND origin != 'replay'"
	}
	return strings.NewReplacer("{{columns}}", q.columns(), "{{keys}}", q.keys(), "{{match}}", match).
		Replace(strings.NewReplacer("{{messages}}", messagesSQL, "{{counts}}", strings.TrimSpace(countsSQL)).Replace(text))
}

// matchText is the condition of a match. What has no cause and no reason passes
// both.
func matchText(m rule.Match) string {
	var b strings.Builder
	for _, f := range matchFields(m) {
		in, out := divide(f.words)
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
		in, out := divide(f.words)
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

// divide sorts words into those wanted and those not, in hexadecimal.
func divide(words []string) (in, out []string) {
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

// hexOf is a name as hex() writes it: names are anything, and need no quotes so.
func hexOf(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }
