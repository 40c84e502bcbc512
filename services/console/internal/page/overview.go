package page

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

const day = 24 * time.Hour

// lastHours is what every page means by the last 24 hours, or days: the hour that runs, whole,
// and those before it, as the counts by hour have them.
func lastHours(length time.Duration, now time.Time) history.Span {
	end := now.Truncate(time.Hour).Add(time.Hour)
	return history.Span{From: end.Add(-length), To: end, Live: true}
}

// hoursAgo is how many hours before the one that runs an hour is, below zero of one to come.
func hoursAgo(hour, now time.Time) int {
	return int(now.Truncate(time.Hour).Sub(hour) / time.Hour)
}

// overviewData is the page people open first.
type overviewData struct {
	Now         time.Time                   `json:"now"`
	Well        bool                        `json:"well"` // nothing needs a look
	Look        twin.List[look]             `json:"look"`
	Sources     twin.List[sourceRow]        `json:"sources"`
	Rates       twin.List[rateTile]         `json:"rates"`
	Incidents   twin.List[history.Incident] `json:"incidents"`
	DeadLetters uint64                      `json:"dead_letters"`
	AtLeast     bool                        `json:"dead_letters_at_least,omitempty"` // there are more kinds than are counted
	// Waiting are the records in Kafka that analytics has not stored yet: what the other
	// numbers lack. It is no lateness, which is how long providers take.
	Waiting    *int64   `json:"kafka_lag_records,omitempty"`
	LagSeconds *float64 `json:"suppression_lag_seconds,omitempty"`
	Webhooks   string   `json:"-"`
	Known      bool     `json:"-"` // ClickHouse answered
}

// waitingMax is the Kafka lag from which on a person should look: more than one batch of
// analytics.
const waitingMax = 100_000

// look is something that needs a look, and where.
type look struct {
	Text  string `json:"text"`
	Value string `json:"value,omitempty"`
	Href  string `json:"href"`
}

type sourceRow struct {
	Source
	State    string    `json:"state"`               // receiving, quiet, never: none of the days that are read, unknown
	Last     time.Time `json:"last_event,omitzero"` // received; of none within two days, the hour that it is of
	LastHour uint64    `json:"last_hour"`
	Day      Spark     `json:"hours"` // events by hour; the last one fills
	Outcomes outcomes  `json:"outcomes"`
	Balance  *balance  `json:"balance,omitempty"` // nil: not known here
	Missed   bool      `json:"-"`                 // it is quiet when it usually is not
}

// outcomes are counts of one day, and their rates.
type outcomes struct{ history.Outcome }

// rate returns one of the rates by its name.
func (o outcomes) rate(name string) Rate {
	switch name {
	case "delivered":
		return Rate{o.Delivered, o.Tried()}
	case "bounced":
		return Rate{o.Bounced, o.Tried()}
	case "blocked":
		return Rate{o.Blocked, o.Tried()}
	case "deferred":
		return Rate{o.Deferred, o.Tried() + o.Deferred}
	}
	return Rate{o.Complained, o.Delivered}
}

// Delivers is the rate that a row shows.
func (o outcomes) Delivers() Rate { return o.rate("delivered") }

// rateTile is a rate of today beside the median of the seven days before.
type rateTile struct {
	Name   string   `json:"name"`
	Today  Rate     `json:"today"`
	Median *float64 `json:"median,omitempty"` // nil: no day before had enough to judge by
	Worse  bool     `json:"worse"`
}

// overview loads all parts at once; each may be away.
func (s *Site) overview(v *visit) (view, error) {
	if _, err := v.only(); err != nil {
		return view{}, err
	}
	now := s.Now().UTC()
	d := overviewData{Now: now, Webhooks: s.World.Webhooks}
	var (
		counts                         []history.Count
		seen                           []history.Seen
		letters                        []history.Letters
		open                           []history.Incident
		countsErr, seenErr, lettersErr error
		openErr, listErr, waitingErr   error
		waiting                        struct{ Records int64 }
		lag                            struct {
			LagMS float64 `json:"lag_ms"`
		}
	)
	parts := parallel{}
	parts.add(func(ctx context.Context) {
		counts, countsErr = s.History.Counts(ctx, lastHours(8*day, now), "")
	})
	parts.add(func(ctx context.Context) { seen, seenErr = s.History.Sources(ctx, history.Last(2*day, now, 0), "") })
	parts.add(func(ctx context.Context) { letters, lettersErr = s.History.LettersLately(ctx, "") })
	parts.add(func(ctx context.Context) { open, openErr = s.open(ctx) })
	parts.add(func(ctx context.Context) {
		listErr = s.Suppression.Get(ctx, "/v1/suppressions?limit=1&addresses=masked", &lag)
	})
	var balances map[string]peer.Balance
	var balanceErr error
	if s.Ingress.Configured() {
		parts.add(func(ctx context.Context) { balances, balanceErr = s.Ingress.Balances(ctx, s.providers()) })
	}
	if s.Analytics.Configured() {
		parts.add(func(ctx context.Context) { waitingErr = s.Analytics.Get(ctx, "/v1/lag", &waiting) })
	}
	parts.run(v.Context())
	if !s.notice(v, partAnalytics, waitingErr) && s.Analytics.Configured() {
		d.Waiting = &waiting.Records
	}
	d.Known = !s.notice(v, partClickHouse, countsErr)
	s.notice(v, partClickHouse, cmp.Or(seenErr, lettersErr))
	if s.notice(v, partAlerting, openErr) {
		open, _, openErr = s.incidentsOf(v.Context(), history.Last(0, now, time.Hour))
		s.notice(v, partClickHouse, openErr)
	}
	if !s.notice(v, partSuppression, listErr) {
		seconds := lag.LagMS / 1000
		d.LagSeconds = &seconds
	}
	for _, l := range letters {
		d.DeadLetters += l.Count
	}
	d.AtLeast = len(letters) == history.LettersMax
	d.Incidents = append(d.Incidents, open...)
	d.Sources = s.rowsOf(counts, seen, now)
	if countsErr != nil {
		unknown(d.Sources)
	}
	s.notice(v, partIngress, balanceErr)
	for i := range d.Sources {
		if b, ok := balances[d.Sources[i].Name]; ok {
			d.Sources[i].Balance = &balance{b}
		}
	}
	d.Rates = tiles(counts, now)
	veilIncidents(d.Incidents)
	d.judge(len(v.notices) > 0)
	return view{name: "overview", title: "Overview", data: d}, nil
}

// providers are those of the configured sources.
func (s *Site) providers() map[string]string {
	of := map[string]string{}
	for _, one := range s.World.Sources {
		of[one.Name] = one.Provider
	}
	return of
}

// configured says whether a source is one of the ingress.
func (s *Site) configured(source string) bool {
	return slices.ContainsFunc(s.World.Sources, func(one Source) bool { return one.Name == source })
}

// parallel runs the parts of a page beside each other.
type parallel []func(context.Context)

func (p *parallel) add(f func(context.Context)) { *p = append(*p, f) }

func (p *parallel) run(ctx context.Context) {
	var g errgroup.Group
	for _, f := range *p {
		g.Go(func() error { f(ctx); return nil })
	}
	_ = g.Wait() // each part keeps its own error
}

// open returns the incidents that last, as alerting knows them now.
func (s *Site) open(ctx context.Context) ([]history.Incident, error) {
	var answer struct {
		Alerts []schemas.Alert `json:"alerts"`
	}
	if err := s.Alerting.Get(ctx, "/v1/alerts?state=firing,recovering", &answer); err != nil {
		return nil, err
	}
	var list []history.Incident
	for i := range answer.Alerts {
		list = append(list, incidentOf(&answer.Alerts[i]))
	}
	return list, nil
}

// incidentOf writes what alerting says in the form of ClickHouse.
func incidentOf(a *schemas.Alert) history.Incident {
	in := history.Incident{
		ID: a.Incident, Rule: a.Rule, Metric: metricOrBlocks(a), Labels: a.Labels, State: string(a.State), Value: a.Value, Peak: a.Peak, Threshold: a.Threshold,
		Delivered: uint64(a.Counts.Delivered), Bounced: uint64(a.Counts.Bounced), Blocked: uint64(a.Counts.Blocked),
		Window: a.Window, Since: a.Since, UpdatedAt: a.UpdatedAt, Ended: string(a.Ended), Late: a.Late,
	}
	if !a.ResolvedAt.IsZero() {
		in.ResolvedAt = &a.ResolvedAt
	}
	if a.NoTraffic != nil {
		in.Quiet = a.NoTraffic.Since
	}
	if a.Acknowledged != nil {
		in.AckedBy = a.Acknowledged.By
	}
	in.Silenced = len(a.SilencedBy) > 0
	return in
}

// metricOrBlocks is what an alert is about: records without a word about it are of the
// block rate.
func metricOrBlocks(a *schemas.Alert) string {
	if a.Rule == schemas.RuleReceiver {
		return ""
	}
	return cmp.Or(a.Metric, "block_rate")
}

// rowsOf gives every configured source a row, and every other one that sent.
func (s *Site) rowsOf(counts []history.Count, seen []history.Seen, now time.Time) []sourceRow {
	rows := map[string]*sourceRow{}
	row := func(name string) *sourceRow {
		if rows[name] == nil {
			rows[name] = &sourceRow{Source: Source{Name: name}, State: "never", Day: make(Spark, 24)}
		}
		return rows[name]
	}
	for _, c := range s.World.Sources {
		row(c.Name).Provider = c.Provider
	}
	past := map[string]*pastHours{}
	for _, c := range counts {
		r := row(c.Source)
		if r.State == "never" {
			r.State = "quiet"
		}
		if c.Hour.After(r.Last) {
			r.Last = c.Hour
		}
		if past[c.Source] == nil {
			past[c.Source] = &pastHours{}
		}
		past[c.Source].add(now.Sub(c.Hour))
		if back := hoursAgo(c.Hour, now); back >= 0 && back < 24 {
			r.Day[23-back] += c.Events
			r.Outcomes.Add(c.Type, c.Refused, c.Events)
		}
	}
	for _, one := range seen {
		r := row(one.Source)
		r.Provider, r.Last, r.LastHour = one.Provider, one.ReceivedAt, one.Recent
		if r.State = "quiet"; now.Sub(one.ReceivedAt) < time.Hour {
			r.State = "receiving"
		}
	}
	list := make([]sourceRow, 0, len(rows))
	for name, r := range rows {
		r.Missed = r.State == "quiet" && past[name] != nil && past[name].missed(now.Sub(r.Last))
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b sourceRow) int {
		if x, y := rank(a.State), rank(b.State); x != y {
			return x - y
		}
		if x, y := a.Day.Sum(), b.Day.Sum(); x != y {
			return int(min(1, max(-1, int64(y)-int64(x))))
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return list
}

func rank(state string) int { return slices.Index([]string{"quiet", "receiving", "never"}, state) }

// tiles are the four rates of the last 24 hours, and of the seven days before.
func tiles(counts []history.Count, now time.Time) (list []rateTile) {
	var days [8]outcomes // 0 is the last 24 hours
	for _, c := range counts {
		if back := hoursAgo(c.Hour, now); back >= 0 && back < len(days)*24 {
			days[back/24].Add(c.Type, c.Refused, c.Events)
		}
	}
	for _, name := range []string{"delivered", "bounced", "blocked", "complained"} {
		t := rateTile{Name: name, Today: days[0].rate(name)}
		var before []float64
		for _, o := range days[1:] {
			if r := o.rate(name); !r.Few() {
				before = append(before, r.Value())
			}
		}
		if len(before) > 0 {
			t.Median = new(median(before))
			t.Worse = !t.Today.Few() && worse(name, t.Today, *t.Median)
		}
		list = append(list, t)
	}
	return list
}

// median is the value in the middle, of an even number that between the two there.
func median(list []float64) float64 {
	slices.Sort(list)
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// worse says whether a rate is so far from the usual one that a person should look: half of
// what is lost on top of it, more than a hundredth of the mail, and more than chance does,
// as four complaints of 600 do where two are usual.
func worse(name string, now Rate, median float64) bool {
	if name == "delivered" {
		now, median = Rate{now.Of - min(now.Of, now.Part), now.Of}, 1-median
	}
	margin := 0.01
	if name == "complained" {
		margin = 0.001
	}
	low, _ := now.bounds()
	today := now.Value()
	return today > median*1.5 && today-median > margin && low > median
}

// lookIncidentsMax is how many incidents the glance names; the table below has all.
const lookIncidentsMax = 5

// standing says how an open incident stands: its rate, and who takes care of it.
func standing(in *history.Incident) string {
	words := share(in.Value)
	if in.Idle() {
		words = "no traffic"
	}
	if in.AckedBy != "" {
		words += ", acknowledged by " + in.AckedBy
	}
	if in.Silenced {
		words += ", silenced"
	}
	return words
}

// judge says in one glance whether all is well.
func (d *overviewData) judge(blind bool) {
	more := 0
	for i := range d.Incidents {
		switch in := &d.Incidents[i]; {
		case !in.Open():
		case len(d.Look) == lookIncidentsMax:
			more++
		default:
			d.Look = append(d.Look, look{in.Rule + ": " + labelWords(in.Labels), standing(in), "/incidents/" + in.ID})
		}
	}
	if more > 0 {
		d.Look = append(d.Look, look{count(more, "more incident"), "", "/incidents"})
	}
	for _, r := range d.Sources {
		if text := r.silent(d.Now); text != "" {
			d.Look = append(d.Look, look{text, r.Refused(), "/sources/" + r.Name})
		}
	}
	for _, t := range d.Rates {
		if t.Worse {
			d.Look = append(d.Look, look{"The rate of " + t.Name + " mail is worse than usual", share(t.Today.Value()) + ", usually " + share(*t.Median), "/deliverability?show=" + t.Name})
		}
	}
	if d.Waiting != nil && *d.Waiting > waitingMax {
		d.Look = append(d.Look, look{count(*d.Waiting, "record waits", "records wait") + " in Kafka to be stored: the numbers here are older than they look", "", "/"})
	}
	if d.DeadLetters > 0 {
		d.Look = append(d.Look, look{count(d.DeadLetters, "dead letter waits", "dead letters wait"), "", "/dead-letters"})
	}
	d.Well = len(d.Look) == 0 && !blind
}

// Fresh says that no source has sent anything in the time that is read: nothing is wrong,
// and nothing is well.
func (d overviewData) Fresh() bool {
	return d.Known && len(d.Sources) > 0 && !slices.ContainsFunc(d.Sources, func(r sourceRow) bool { return r.State != "never" })
}
