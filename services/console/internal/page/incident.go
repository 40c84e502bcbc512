package page

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

type incidentsData struct {
	Now      time.Time                   `json:"now"`
	Range    string                      `json:"range"`
	Open     twin.List[history.Incident] `json:"open"`
	Over     twin.List[history.Incident] `json:"over"`
	Cut      bool                        `json:"cut"`
	Silences twin.List[silenceRow]       `json:"silences"`
}

// silenceRow is a silence as alerting shows it.
type silenceRow struct {
	schemas.AlertSilence
	State string `json:"state"`
}

// Matches says what a silence hides.
func (r silenceRow) Matches() (text []string) {
	for _, m := range r.Matchers {
		text = append(text, m.Label+" "+m.Op+" "+m.Value)
	}
	return text
}

func (s *Site) incidents(v *visit) (view, error) {
	q, err := v.only("range", "done")
	if err != nil {
		return view{}, err
	}
	d := incidentsData{Now: s.Now().UTC()}
	if d.Range, err = oneOf(q, "range", "30d", rangeNames()); err != nil {
		return view{}, err
	}
	var (
		open, known     []history.Incident
		openErr, sqlErr error
		quietErr        error
	)
	parts := parallel{}
	parts.add(func(ctx context.Context) { open, openErr = s.open(ctx) })
	parts.add(func(ctx context.Context) { d.Silences, quietErr = s.silences(ctx) })
	parts.add(func(ctx context.Context) {
		known, d.Cut, sqlErr = s.incidentsOf(ctx, history.Last(rangeSteps()[d.Range][0], d.Now, time.Hour))
	})
	parts.run(v.Context())
	s.notice(v, partAlerting, cmp.Or(openErr, quietErr))
	s.notice(v, partClickHouse, sqlErr)
	veilSilences(v, d.Silences)
	d.Open = append(d.Open, open...)
	for _, in := range known {
		switch {
		case !in.Open():
			d.Over = append(d.Over, in)
		case openErr != nil: // the latest that is known of it
			d.Open = append(d.Open, in)
		}
	}
	veilIncidents(d.Open)
	veilIncidents(d.Over)
	return view{name: "incidents", title: "Incidents", data: d}, nil
}

// veilIncidents masks the addresses in what incidents are about, such as a campaign.
func veilIncidents(list []history.Incident) {
	for i := range list {
		list[i].Labels = veiledLabels(list[i].Labels)
	}
}

// veiledLabels are labels with masked addresses; the others may be those of a silence.
func veiledLabels(labels map[string]string) map[string]string {
	veiled := make(map[string]string, len(labels))
	for name, value := range labels {
		veiled[name] = Redact(value)
	}
	return veiled
}

// veilSilences masks the addresses in silences, and those in the reasons for who may not
// see them.
func veilSilences(v *visit, list []silenceRow) {
	for i := range list {
		veilSilence(&list[i].AlertSilence, v.user.May(roleWhole))
	}
}

func veilSilence(one *schemas.AlertSilence, whole bool) {
	for i := range one.Matchers {
		one.Matchers[i].Value = Redact(one.Matchers[i].Value)
	}
	if !whole {
		one.Comment = Redact(one.Comment)
	}
}

func (s *Site) silences(ctx context.Context) ([]silenceRow, error) {
	var answer struct {
		Silences []silenceRow `json:"silences"`
	}
	err := s.Alerting.Get(ctx, "/v1/silences?state=active,pending", &answer)
	return answer.Silences, err
}

// incidentData is one incident.
type incidentData struct {
	Now      time.Time                       `json:"now"`
	Incident history.Incident                `json:"incident"`
	Rate     Rate                            `json:"block_rate"` // of the counts of Incident, whatever its rule measures
	Measure  *schemas.AlertMeasure           `json:"measure,omitempty"`
	Answer   string                          `json:"answer,omitempty"` // of the receiver that the incident is about
	Reasons  twin.List[schemas.ReasonCount]  `json:"reasons"`
	Carriers twin.List[schemas.AlertCarrier] `json:"carriers"`
	Causes   map[string]int64                `json:"causes,omitempty"`
	Acks     twin.List[schemas.AlertAck]     `json:"acknowledgements"`
	Silences twin.List[schemas.AlertSilence] `json:"silences"`
	Timeline twin.List[timelineEntry]        `json:"timeline"` // the latest first
	Plot     Plot                            `json:"plot"`
	Replies  twin.List[history.Reply]        `json:"replies"`
	Changed  twin.List[history.Carrier]      `json:"changed"`
	Events   twin.List[history.Refused]      `json:"events"` // the latest
	Cut      incidentCut                     `json:"cut"`
	From     time.Time                       `json:"from"` // of the mail that is shown
	To       time.Time                       `json:"to"`
	Live     bool                            `json:"live"` // alerting still knows it
	Flapping bool                            `json:"flapping,omitempty"`
	Window   string                          `json:"-"` // that of Incident, in words
	Advice   string                          `json:"what_usually_helps,omitempty"`

	counts   string // which events alone its rule counts
	readings []schemas.AlertReading
}

// incidentCut says which parts have more than the page shows.
type incidentCut struct {
	Replies bool `json:"replies"`
	Changed bool `json:"changed"`
	Events  bool `json:"events"`
	Time    bool `json:"time"` // it lasted longer than what is read
}

type timelineEntry struct {
	schemas.AlertStep
	Value *float64 `json:"value,omitempty"`
}

// incidentAnswer is what alerting knows of it.
type incidentAnswer struct {
	Alert    schemas.Alert          `json:"alert"`
	Acks     []schemas.AlertAck     `json:"acknowledgements"`
	Silences []schemas.AlertSilence `json:"silences"`
	Timeline []timelineEntry        `json:"timeline"`
}

func (s *Site) incident(v *visit) (view, error) {
	if _, err := v.only("done"); err != nil {
		return view{}, err
	}
	d := incidentData{Now: s.Now().UTC()}
	id := v.named("id")
	if err := s.findIncident(v, id, &d); err != nil {
		return view{}, err
	}
	in := d.Incident
	d.Rate = Rate{in.Blocked, in.Delivered + in.Bounced + in.Blocked}
	window, err := time.ParseDuration(in.Window)
	if err != nil {
		window = 15 * time.Minute
	}
	d.Window, d.counts = windowWords(window), s.ruleOf(in.Rule).Counts
	end := d.Now
	if in.ResolvedAt != nil {
		end = *in.ResolvedAt
	}
	around := history.Span{From: in.Since.Add(-min(2*window, leadMax)), To: end.Add(window)}
	if around.To.Sub(around.From) > aroundMax {
		around.To, d.Cut.Time = around.From.Add(aroundMax), true // what began it is at its beginning
	}
	d.From, d.To = around.From, around.To
	group := history.GroupOf(in.Labels)
	var (
		minutes []history.Minute
		errs    [4]error
	)
	parts := parallel{}
	parts.add(func(ctx context.Context) { minutes, errs[0] = s.History.Minutes(ctx, around, group, window) })
	parts.add(func(ctx context.Context) { d.Replies, d.Cut.Replies, errs[1] = s.History.Replies(ctx, around, group) })
	parts.add(func(ctx context.Context) { d.Changed, d.Cut.Changed, errs[2] = s.History.Changed(ctx, around, group) })
	parts.add(func(ctx context.Context) {
		d.Events, d.Cut.Events, errs[3] = s.History.LatestRefused(ctx, around, group)
	})
	parts.run(v.Context())
	s.notice(v, partClickHouse, cmp.Or(errs[:]...))
	d.Changed = slices.DeleteFunc(d.Changed, func(c history.Carrier) bool { return in.Labels[c.Dimension] == c.Value }) // all of it
	d.Plot = plotOf(&d, minutes, window, d.readings)
	if errs[0] != nil {
		d.Plot.Empty = unread
	}
	d.Plot.Marks = []PlotMark{{in.Since, "the incident began", in.ID}}
	d.tell()
	if d.Advice == "" && slices.Contains(measureOf(in.Metric).events, "blocked") {
		d.Advice = s.advice(d.answered())
	}
	d.veil(v.user.May(roleWhole))
	title := in.Rule + ": " + labelWords(in.Labels)
	return view{name: "incident", title: title, data: d}, nil
}

// leadMax is how long before an incident its mail is read at most.
const leadMax = day

// veil masks the addresses in what servers answered and providers named: what was answered
// matters here, not to whom. What people wrote is masked for who may not see addresses.
func (d *incidentData) veil(whole bool) {
	d.Incident.Labels = veiledLabels(d.Incident.Labels)
	if !whole {
		for i := range d.Acks {
			d.Acks[i].Note = Redact(d.Acks[i].Note)
		}
		for i := range d.Timeline {
			d.Timeline[i].Detail = Redact(d.Timeline[i].Detail)
		}
	}
	for i := range d.Silences {
		veilSilence(&d.Silences[i], whole)
	}
	for i := range d.Replies {
		d.Replies[i].Reply = Redact(d.Replies[i].Reply)
	}
	for i := range d.Events {
		e := &d.Events[i]
		e.Reply, e.Campaign = Redact(e.Reply), Redact(e.Campaign)
		if e.Personal && !whole { // and half an id leads nowhere
			e.MessageID = ""
		}
	}
	for i := range d.Reasons {
		d.Reasons[i].Sample = Redact(d.Reasons[i].Sample)
	}
	for i := range d.Carriers {
		d.Carriers[i].Value = Redact(d.Carriers[i].Value)
	}
	for i := range d.Changed {
		d.Changed[i].Value = Redact(d.Changed[i].Value)
	}
}

// tell has the record of the incident answer where ClickHouse does not, or has no such
// events any more.
func (d *incidentData) tell() {
	if len(d.Replies) > 0 {
		return
	}
	for _, r := range d.Reasons {
		d.Replies = append(d.Replies, history.Reply{Reply: r.Sample, Reason: string(r.Reason), Cause: string(r.Cause), Events: uint64(max(0, r.Count))})
	}
}

// answered is the record with the reasons of the replies, which are gone from the record of
// an incident without traffic.
func (d *incidentData) answered() *schemas.Alert {
	a := d.record()
	for _, r := range d.Replies {
		a.Reasons = append(a.Reasons, schemas.ReasonCount{Reason: schemas.Reason(r.Reason), Cause: schemas.Cause(r.Cause), Count: int64(r.Events)})
	}
	return a
}

// remember takes what ClickHouse keeps of an incident.
func (d *incidentData) remember(in history.Incident) {
	d.Incident = in
	for cause, n := range in.Causes {
		if d.Causes == nil {
			d.Causes = map[string]int64{}
		}
		d.Causes[cause] = int64(n)
	}
	for i, reason := range in.Reasons {
		if i < len(in.ReasonCauses) && i < len(in.ReasonCounts) && i < len(in.ReasonReplies) {
			d.Reasons = append(d.Reasons, schemas.ReasonCount{Reason: schemas.Reason(reason), Cause: schemas.Cause(in.ReasonCauses[i]), Count: int64(in.ReasonCounts[i]), Sample: in.ReasonReplies[i]})
		}
	}
}

// record is the incident as alerting writes it, as far as ClickHouse keeps it.
func (d *incidentData) record() *schemas.Alert {
	return &schemas.Alert{Rule: d.Incident.Rule, Metric: d.Incident.Metric, Labels: d.Incident.Labels, Causes: d.Causes, Reasons: d.Reasons}
}

// advice says what usually helps, "" where nothing can be said.
func (s *Site) advice(a *schemas.Alert) string {
	if s.World.Advice == nil || a.Rule == schemas.RuleReceiver {
		return ""
	}
	return s.World.Advice(a)
}

// findIncident asks alerting, and ClickHouse for what alerting does not know any more.
func (s *Site) findIncident(v *visit, id string, d *incidentData) error {
	var answer incidentAnswer
	err := s.Alerting.Get(v.Context(), "/v1/incidents/"+escaped(id), &answer)
	if err == nil {
		a := &answer.Alert
		d.Incident, d.Live = incidentOf(a), true
		d.Reasons, d.Carriers, d.Causes = a.Reasons, a.Carriers, a.Causes
		d.Measure, d.Answer, d.readings = a.Measure, a.Answer, a.Readings
		d.Flapping = a.Flapping
		d.Acks, d.Silences, d.Timeline = answer.Acks, answer.Silences, answer.Timeline
		slices.Reverse(d.Timeline)
		d.Advice = s.advice(a)
		return nil
	}
	if refused, ok := errors.AsType[*peer.Refused](err); !ok || refused.Status != http.StatusNotFound {
		s.notice(v, partAlerting, err)
	}
	known, found, sqlErr := s.History.Incident(v.Context(), history.Last(keptMax, d.Now, time.Hour), id)
	switch {
	case found:
		known.Metric = s.ruleOf(known.Rule).Metric
		d.remember(known)
		if known.Metric != "" || len(d.Reasons) > 0 { // else nothing says what it was about
			d.Advice = s.advice(d.record())
		}
		return nil
	case sqlErr != nil:
		return fault{Status: http.StatusServiceUnavailable, Title: "This incident is not known now", Detail: "Neither alerting nor ClickHouse has it at this moment.", Next: "Try again in a minute."}
	}
	return notFound("There is no incident of that name, or it is older than what is kept.")
}

func unnoted(err error) error {
	return fault{Status: http.StatusServiceUnavailable, Title: "This cannot be noted now", Detail: "Who looks at people is written down first, and that does not work: " + err.Error() + ".", Next: "Try again once Kafka is there; nothing was changed."}
}

const (
	textBytesMax = 1_000   // of a note or a comment
	aroundMax    = 2 * day // of the mail around an incident
)

func (v *visit) text(name string) (string, error) {
	text := v.PostForm.Get(name)
	if len(text) > textBytesMax {
		return "", badInput("The text is longer than 1,000 bytes.", "Shorten it.").of(name)
	}
	return text, nil
}

func (s *Site) acknowledge(v *visit) (view, error) { return s.say(v, "ack", "acknowledged") }

func (s *Site) note(v *visit) (view, error) { return s.say(v, "notes", "noted") }

// say sends what a person says of an incident.
func (s *Site) say(v *visit, call, done string) (view, error) {
	id := v.named("id")
	text, err := v.text("note")
	if err != nil {
		return view{}, err
	}
	err = s.Alerting.Send(v.Context(), http.MethodPost, "/v1/incidents/"+escaped(id)+"/"+call, map[string]string{"by": v.user.Name, "note": text}, nil)
	return view{goTo: "/incidents/" + segment(id) + "?done=" + done}, err
}

// silenceMin and silenceMax are how long a silence may last.
const (
	silenceMin = time.Minute
	silenceMax = 30 * day
)

// silence hides the messages of an incident for some hours.
func (s *Site) silence(v *visit) (view, error) {
	id := v.named("id")
	text, err := v.text("comment")
	if err != nil {
		return view{}, err
	}
	length, err := time.ParseDuration(v.PostForm.Get("for"))
	if err != nil || length < silenceMin || length > silenceMax {
		return view{}, badInput("A silence lasts between a minute and 30 days.", "Choose one of the lengths in the form.").of("for")
	}
	var d incidentData
	d.Now = s.Now().UTC()
	if err := s.findIncident(v, id, &d); err != nil {
		return view{}, err
	}
	matchers := []schemas.AlertMatcher{{Label: "rule", Op: schemas.MatchEqual, Value: d.Incident.Rule}}
	for label, value := range d.Incident.Labels {
		matchers = append(matchers, schemas.AlertMatcher{Label: label, Op: schemas.MatchEqual, Value: value})
	}
	slices.SortFunc(matchers[1:], func(a, b schemas.AlertMatcher) int {
		if a.Label < b.Label {
			return -1
		}
		return 1
	})
	body := map[string]any{"matchers": matchers, "until": d.Now.Add(length), "by": v.user.Name, "comment": text}
	err = s.Alerting.Send(v.Context(), http.MethodPost, "/v1/silences", body, nil)
	return view{goTo: "/incidents/" + segment(id) + "?done=silenced"}, err
}

func (s *Site) endSilence(v *visit) (view, error) {
	id := v.named("id")
	err := s.Alerting.Send(v.Context(), http.MethodDelete, "/v1/silences/"+escaped(id)+"?by="+url.QueryEscape(v.user.Name), nil, nil)
	return view{goTo: "/incidents?done=ended"}, err
}
