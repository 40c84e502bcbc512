package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

// deliverabilityData is what became of the mail, over time and by what it is compared.
type deliverabilityData struct {
	Now     time.Time            `json:"now"`
	Range   string               `json:"range,omitempty"` // "" of a time of the address
	From    time.Time            `json:"from"`
	To      time.Time            `json:"to"`
	By      string               `json:"by"`
	Show    string               `json:"show"`
	Filter  history.Filter       `json:"filter"`
	Totals  twin.List[total]     `json:"totals"`
	Plot    Plot                 `json:"plot"`
	Rows    twin.List[breakdown] `json:"rows"`
	Cut     bool                 `json:"cut"`
	Own     bool                 `json:"-"` // the time is one of the address, and no range
	Ranges  []string             `json:"-"`
	Bys     []string             `json:"-"`
	Shows   []string             `json:"-"`
	Sources []Source             `json:"-"`
}

// total is one rate of the range beside that of the period before.
type total struct {
	Name   string `json:"name"`
	Now    Rate   `json:"now"`
	Before Rate   `json:"before"`
}

type breakdown struct {
	Value string          `json:"value"`
	N     uint64          `json:"n"`
	Rates map[string]Rate `json:"rates"` // by Shows
}

// rangeSteps are the ranges and the steps of their plots.
func rangeSteps() map[string][2]time.Duration {
	return map[string][2]time.Duration{
		"24h": {day, time.Hour}, "7d": {7 * day, 3 * time.Hour}, "30d": {30 * day, 12 * time.Hour}, "90d": {90 * day, day},
	}
}

// rangeNames are the ranges, the shortest first.
func rangeNames() []string { return []string{"24h", "7d", "30d", "90d"} }

func (d *deliverabilityData) read(v *visit) error {
	q, err := v.only("range", "by", "show", "source", "mailbox_provider", "domain", "from", "to", "format")
	if err != nil {
		return err
	}
	d.offer()
	var errs [3]error
	d.Range, errs[0] = oneOf(q, "range", "24h", d.Ranges)
	d.By, errs[1] = oneOf(q, "by", "mailbox_provider", d.Bys)
	d.Show, errs[2] = oneOf(q, "show", "blocked", d.Shows)
	if err := cmp.Or(errs[:]...); err != nil {
		return err
	}
	d.Filter = filterOf(q)
	for name, value := range map[string]string{"source": d.Filter.Source, "mailbox_provider": d.Filter.MailboxProvider, "domain": d.Filter.Domain} {
		if strings.Contains(value, "@") {
			return badInput("An address of a person does not belong in the address of a page: it would be in logs and histories.", "Search the person on the page Search, or give the domain alone.").of(name)
		}
		if !filters(value) {
			return badInput(fmt.Sprintf("%.40q is not a value of %s: it is longer than %d bytes, or not text.", value, name, nameBytesMax), "Choose one from the table of the page.").of(name)
		}
	}
	d.To, d.From = d.Now, lastHours(rangeSteps()[d.Range][0], d.Now).From
	if q.Has("from") || q.Has("to") {
		from, fromErr := time.Parse(time.RFC3339, q.Get("from"))
		to, toErr := time.Parse(time.RFC3339, q.Get("to"))
		switch {
		case fromErr != nil || toErr != nil:
			return badInput("from and to are not both times like 2026-01-02T15:04:05Z.", "Give both, or use a range.")
		case !from.Before(to):
			return badInput("The range ends before it begins.", "Exchange from and to.")
		case to.Sub(from) > keptMax:
			return badInput("The range is longer than 400 days, which is as long as events are kept.", "Choose a shorter one.")
		case from.After(d.Now):
			return badInput("The range begins in the future.", "Choose an earlier one.")
		case to.Before(d.Now.Add(-keptMax)):
			return badInput("The range ends more than 400 days ago, which is as long as events are kept.", "Choose a later one.")
		}
		d.From, d.To, d.Range, d.Own = from.UTC().Truncate(time.Hour), hourEnd(to.UTC()), "", true
	}
	_, err = oneOf(q, "format", "csv", []string{"csv"})
	return err
}

// counted is the time that the page counts: whole hours, as the counts by hour have them.
func (d *deliverabilityData) counted() history.Span {
	if d.Own {
		return history.Span{From: d.From, To: d.To}
	}
	return lastHours(rangeSteps()[d.Range][0], d.To)
}

// hourEnd is the end of the hour that ends with a moment, or that it is in.
func hourEnd(t time.Time) time.Time {
	return t.Add(time.Hour - 1).Truncate(time.Hour)
}

// offer has the form of the page offer what there is.
func (d *deliverabilityData) offer() {
	d.Ranges, d.Bys = rangeNames(), []string{"mailbox_provider", "domain", "source", "campaign", "sending_ip"}
	d.Shows = []string{"delivered", "bounced", "blocked", "complained", "deferred"}
}

func filterOf(q url.Values) history.Filter {
	return history.Filter{Source: q.Get("source"), MailboxProvider: q.Get("mailbox_provider"), Domain: q.Get("domain")}
}

// filters says whether mail can be asked for by a value.
func filters(value string) bool {
	return len(value) <= nameBytesMax && utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl)
}

// errFile says that a file has no form to fill in again.
var errFile = errors.New("a file has no form")

// deliverabilityForm is the form of the page as it was sent, where nothing can be counted.
func (s *Site) deliverabilityForm(v *visit) (view, error) {
	q := v.URL.Query()
	if q.Has("format") {
		return view{}, errFile
	}
	d := deliverabilityData{Now: s.Now().UTC(), Sources: s.World.Sources, Range: q.Get("range"), By: q.Get("by"), Show: q.Get("show"), Own: q.Has("from") || q.Has("to")}
	d.offer()
	for name := range q {
		q.Set(name, strings.ToValidUTF8(q.Get(name), "\uFFFD"))
	}
	d.Filter = filterOf(q)
	return view{name: "deliverability", title: "Deliverability", data: d}, nil
}

// Unlisted is the source that is asked for where it is not configured any more, else "".
func (d deliverabilityData) Unlisted() string {
	if slices.ContainsFunc(d.Sources, func(s Source) bool { return s.Name == d.Filter.Source }) {
		return ""
	}
	return d.Filter.Source
}

// keptMax is how long events are kept; nameBytesMax is longer than any domain or source.
const (
	keptMax      = 400 * day
	nameBytesMax = 255
)

// step is that of the plot.
func (d *deliverabilityData) step() time.Duration {
	for _, r := range d.Ranges {
		if s := rangeSteps()[r]; d.To.Sub(d.From) <= s[0] {
			return s[1]
		}
	}
	return 7 * day
}

func (s *Site) deliverability(v *visit) (view, error) {
	d := deliverabilityData{Now: s.Now().UTC(), Sources: s.World.Sources}
	if err := d.read(v); err != nil {
		return view{}, err
	}
	now := d.counted()
	var (
		series, earlier, rows []history.Outcome
		incidents             []history.Incident
		errs                  [3]error
	)
	parts := parallel{}
	parts.add(func(ctx context.Context) { series, earlier, errs[0] = s.History.Series(ctx, now, d.step(), d.Filter) })
	parts.add(func(ctx context.Context) { rows, d.Cut, errs[1] = s.History.Breakdown(ctx, d.By, now, d.Filter) })
	parts.add(func(ctx context.Context) { incidents, _, errs[2] = s.incidentsOf(ctx, now) })
	parts.run(v.Context())
	s.notice(v, partClickHouse, cmp.Or(errs[:]...))
	for _, o := range rows {
		b := breakdown{Value: Redact(o.Value), N: o.Tried(), Rates: map[string]Rate{}}
		for _, name := range d.Shows {
			b.Rates[name] = of(o).rate(name)
		}
		d.Rows = append(d.Rows, b)
	}
	for _, name := range d.Shows {
		d.Totals = append(d.Totals, total{name, sum(series).rate(name), sum(earlier).rate(name)})
	}
	if source := d.Filter.Source; source != "" && !s.configured(source) && cmp.Or(errs[:]...) == nil && sum(series) == (outcomes{}) && sum(earlier) == (outcomes{}) {
		return view{}, notFound(fmt.Sprintf("No source is called %.64q, and none of that name has sent anything in this time.", source)).of("source")
	}
	if d.draw(series, earlier, incidents); errs[0] != nil {
		d.Plot.Empty = unread
	}
	shown := view{name: "deliverability", title: "Deliverability", data: d}
	if v.URL.Query().Get("format") == "csv" {
		if len(v.notices) > 0 { // a file has no place for a notice
			return view{}, fault{Status: http.StatusServiceUnavailable, Title: "The table is not known now", Detail: strings.Join(v.notices, " "), Next: "Try again in a minute; the page shows what is still known."}
		}
		shown.csv = d.csv()
	}
	return shown, nil
}

func of(o history.Outcome) outcomes {
	o.At, o.Value = time.Time{}, ""
	return outcomes{o}
}

func sum(list []history.Outcome) (all outcomes) {
	for _, o := range list {
		all.Delivered += o.Delivered
		all.Bounced += o.Bounced
		all.Blocked += o.Blocked
		all.Deferred += o.Deferred
		all.Complained += o.Complained
	}
	return all
}

// draw makes the plot of one rate, with the period before.
func (d *deliverabilityData) draw(series, earlier []history.Outcome, incidents []history.Incident) {
	d.Plot = Plot{ID: "rate", Caption: "Rate of " + d.Show + " mail", Percent: true, Columns: []string{d.Show, "the period before"}}
	step, span := d.step(), d.counted()
	length := span.To.Sub(span.From)
	at := func(list []history.Outcome) map[time.Time]outcomes {
		m := map[time.Time]outcomes{}
		for _, o := range list {
			m[floor(o.At, step)] = of(o)
		}
		return m
	}
	now, before := at(series), at(earlier)
	value := func(o outcomes) *float64 {
		r := o.rate(d.Show)
		if r.Of == 0 {
			return nil
		}
		v := r.Value()
		return &v
	}
	for t := floor(span.From, step); t.Before(span.To); t = t.Add(step) {
		o := now[t]
		d.Plot.Rows = append(d.Plot.Rows, PlotRow{At: t, Values: []*float64{value(o), value(before[floor(t.Add(-length), step)])}, N: o.rate(d.Show).Of})
	}
	for _, in := range incidents {
		if !concerns(in.Labels, d.Filter) {
			continue
		}
		d.Plot.Marks = append(d.Plot.Marks, PlotMark{in.Since, in.Rule + ": " + labelWords(in.Labels), in.ID})
	}
}

// concerns says whether an incident may be about the mail that passes a filter: not where it
// is about another source, domain or mailbox provider.
func concerns(labels map[string]string, f history.Filter) bool {
	for name, wanted := range map[string]string{"source": f.Source, "recipient_domain": f.Domain, "mailbox_provider": f.MailboxProvider} {
		if about := labels[name]; wanted != "" && about != "" && !strings.EqualFold(about, wanted) {
			return false
		}
	}
	return true
}

// floor is the start of the step that a moment is in, as ClickHouse has it: steps are
// counted from 1970, and time.Truncate would count weeks from a Monday.
func floor(t time.Time, step time.Duration) time.Time {
	seconds := int64(step / time.Second)
	return time.Unix(t.Unix()-t.Unix()%seconds, 0).UTC()
}

// CSV is the address of the same page as a table.
func (d deliverabilityData) CSV() string { return d.address("format", "csv") }

// Narrow is the address of the page about one value of the table alone, "" where the page has
// no such filter: the mail of a source by mailbox provider, of a mailbox provider by domain,
// of a domain by campaign.
func (d deliverabilityData) Narrow(value string) string {
	next := map[string]string{"source": "mailbox_provider", "mailbox_provider": "domain", "domain": "campaign"}[d.By]
	if next == "" || value == "" || strings.Contains(value, "@") || !filters(value) {
		return ""
	}
	return d.address(d.By, value, "by", next)
}

// address is that of the page, with some parameters otherwise.
func (d deliverabilityData) address(otherwise ...string) string {
	q := url.Values{"by": {d.By}, "show": {d.Show}}
	for name, value := range map[string]string{"source": d.Filter.Source, "mailbox_provider": d.Filter.MailboxProvider, "domain": d.Filter.Domain} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if d.Own {
		q.Set("from", d.From.Format(time.RFC3339))
		q.Set("to", d.To.Format(time.RFC3339))
	} else {
		q.Set("range", d.Range)
	}
	for i := 0; i < len(otherwise); i += 2 {
		q.Set(otherwise[i], otherwise[i+1])
	}
	return "/deliverability?" + q.Encode()
}

// csv is the breakdown as a table.
func (d *deliverabilityData) csv() [][]string {
	head := []string{d.By, "n"}
	for _, name := range d.Shows {
		head = append(head, name, name+"_of")
	}
	table := [][]string{head}
	for _, b := range d.Rows {
		row := []string{b.Value, strconv.FormatUint(b.N, 10)}
		for _, name := range d.Shows {
			r := b.Rates[name]
			row = append(row, strconv.FormatUint(r.Part, 10), strconv.FormatUint(r.Of, 10))
		}
		table = append(table, row)
	}
	if d.Cut {
		row := make([]string, len(head)) // as long as the others, for who reads it as a table
		row[0] = fmt.Sprintf("cut: these are the first %d by volume, there are more", history.ValuesMax)
		table = append(table, row)
	}
	return table
}
