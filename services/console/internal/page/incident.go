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
)

type incidentsData struct {
	Now      time.Time          `json:"now"`
	Range    string             `json:"range"`
	Open     []history.Incident `json:"open"`
	Over     []history.Incident `json:"over"`
	Cut      bool               `json:"cut"`
	Silences []silenceRow       `json:"silences"`
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
	q, err := v.only("range")
	if err != nil {
		return view{}, err
	}
	d := incidentsData{Now: s.Now().UTC(), Range: q.Get("range"), Open: []history.Incident{}, Over: []history.Incident{}}
	if d.Range == "" {
		d.Range = "30d"
	}
	steps, ok := rangeSteps()[d.Range]
	if !ok {
		return view{}, badInput("There is no such range.", "Choose 24h, 7d, 30d or 90d.")
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
		known, d.Cut, sqlErr = s.incidentsOf(ctx, history.Last(steps[0], d.Now, time.Hour))
	})
	parts.run(v.Context())
	s.notice(v, partAlerting, cmp.Or(openErr, quietErr))
	s.notice(v, partClickHouse, sqlErr)
	d.Open = append(d.Open, open...)
	for _, in := range known {
		switch {
		case !in.Open():
			d.Over = append(d.Over, in)
		case openErr != nil: // the latest that is known of it
			d.Open = append(d.Open, in)
		}
	}
	return view{name: "incidents", title: "Incidents", data: d}, nil
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
	Now      time.Time              `json:"now"`
	Incident history.Incident       `json:"incident"`
	Rate     Rate                   `json:"rate"`
	Measure  *schemas.AlertMeasure  `json:"measure,omitempty"`
	Answer   string                 `json:"answer,omitempty"` // of the receiver that the incident is about
	Reasons  []schemas.ReasonCount  `json:"reasons,omitempty"`
	Carriers []schemas.AlertCarrier `json:"carriers,omitempty"`
	Causes   map[string]int64       `json:"causes,omitempty"`
	Acks     []schemas.AlertAck     `json:"acknowledgements,omitempty"`
	Silences []schemas.AlertSilence `json:"silences,omitempty"`
	Timeline []timelineEntry        `json:"timeline,omitempty"`
	Plot     Plot                   `json:"plot"`
	Replies  []history.Reply        `json:"replies,omitempty"`
	Changed  []history.Carrier      `json:"changed,omitempty"`
	Events   []history.Refused      `json:"events,omitempty"` // the latest
	Live     bool                   `json:"live"`             // alerting still knows it
	Flapping bool                   `json:"flapping,omitempty"`
	Late     bool                   `json:"late,omitempty"`
	Window   string                 `json:"window"`

	readings []schemas.AlertReading
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
	if _, err := v.only(); err != nil {
		return view{}, err
	}
	d := incidentData{Now: s.Now().UTC()}
	id := v.PathValue("id")
	if err := s.findIncident(v, id, &d); err != nil {
		return view{}, err
	}
	in := d.Incident
	d.Rate = Rate{in.Blocked, in.Delivered + in.Bounced + in.Blocked}
	window, err := time.ParseDuration(in.Window)
	if err != nil {
		window = 15 * time.Minute
	}
	d.Window = windowWords(window)
	end := d.Now
	if in.ResolvedAt != nil {
		end = *in.ResolvedAt
	}
	around := history.Span{From: in.Since.Add(-2 * window), To: end.Add(window)}
	if longest := 2 * day; around.To.Sub(around.From) > longest {
		around.To = around.From.Add(longest) // what began it is at its beginning
	}
	filter := history.Filter{Source: in.Labels["source"], MailboxProvider: in.Labels["mailbox_provider"], Domain: in.Labels["recipient_domain"]}
	var (
		minutes []history.Minute
		errs    [4]error
	)
	parts := parallel{}
	parts.add(func(ctx context.Context) { minutes, errs[0] = s.History.Minutes(ctx, around, filter) })
	parts.add(func(ctx context.Context) { d.Replies, errs[1] = s.History.Replies(ctx, around, filter) })
	parts.add(func(ctx context.Context) { d.Changed, errs[2] = s.History.Changed(ctx, around, filter) })
	parts.add(func(ctx context.Context) { d.Events, errs[3] = s.History.LatestRefused(ctx, around, filter) })
	parts.run(v.Context())
	s.notice(v, partClickHouse, cmp.Or(errs[:]...))
	d.Plot = plotOf(&d, minutes, window, d.readings)
	d.Plot.Marks = []PlotMark{{in.Since, "the incident began", in.ID}}
	for i := range d.Replies { // what was answered matters here, not to whom
		d.Replies[i].Reply = Redact(d.Replies[i].Reply)
	}
	for i := range d.Events {
		e := &d.Events[i]
		e.Reply, e.Campaign = Redact(e.Reply), Redact(e.Campaign)
		if e.MessageID != Redact(e.MessageID) && !v.user.May(roleWhole) { // and half an id leads nowhere
			e.MessageID = ""
		}
	}
	for i := range d.Reasons {
		d.Reasons[i].Sample = Redact(d.Reasons[i].Sample)
	}
	return view{name: "incident", title: in.Rule + ": " + labelWords(in.Labels), data: d}, nil
}

// findIncident asks alerting, and ClickHouse for what alerting does not know any more.
func (s *Site) findIncident(v *visit, id string, d *incidentData) error {
	var answer incidentAnswer
	err := s.Alerting.Get(v.Context(), "/v1/incidents/"+url.PathEscape(id), &answer)
	if err == nil {
		a := &answer.Alert
		d.Incident, d.Live = incidentOf(a), true
		d.Reasons, d.Carriers, d.Causes = a.Reasons, a.Carriers, a.Causes
		d.Measure, d.Answer, d.readings = a.Measure, a.Answer, a.Readings
		d.Flapping, d.Late = a.Flapping, a.Late
		d.Acks, d.Silences, d.Timeline = answer.Acks, answer.Silences, answer.Timeline
		slices.Reverse(d.Timeline)
		return nil
	}
	if refused, ok := errors.AsType[*peer.Refused](err); !ok || refused.Status != http.StatusNotFound {
		s.notice(v, partAlerting, err)
	}
	known, _, sqlErr := s.incidentsOf(v.Context(), history.Last(400*day, d.Now, time.Hour))
	i := slices.IndexFunc(known, func(in history.Incident) bool { return in.ID == id })
	switch {
	case i >= 0:
		d.Incident = known[i]
		return nil
	case sqlErr != nil:
		return fault{Status: http.StatusServiceUnavailable, Title: "This incident is not known now", Detail: "Neither alerting nor ClickHouse has it at this moment.", Next: "Try again in a minute."}
	}
	return notFound("There is no incident of that name, or it is older than what is kept.")
}

func unnoted(err error) error {
	return fault{Status: http.StatusServiceUnavailable, Title: "This cannot be noted now", Detail: "Who looks at people is written down first, and that does not work: " + err.Error() + ".", Next: "Try again once Kafka is there; nothing was changed."}
}

const textBytesMax = 1_000 // of a note or a comment

func (v *visit) text(name string) (string, error) {
	text := v.PostForm.Get(name)
	if len(text) > textBytesMax {
		return "", badInput("The text is longer than 1,000 bytes.", "Shorten it.")
	}
	return text, nil
}

func (s *Site) acknowledge(v *visit) (view, error) { return s.say(v, "ack", "acknowledged") }

func (s *Site) note(v *visit) (view, error) { return s.say(v, "notes", "noted") }

// say sends what a person says of an incident.
func (s *Site) say(v *visit, call, done string) (view, error) {
	id := v.PathValue("id")
	text, err := v.text("note")
	if err != nil {
		return view{}, err
	}
	path := "/incidents/" + url.PathEscape(id)
	err = s.Alerting.Send(v.Context(), http.MethodPost, "/v1"+path+"/"+call, map[string]string{"by": v.user.Name, "note": text}, nil)
	return view{goTo: path + "?done=" + done}, err
}

// silence hides the messages of an incident for some hours.
func (s *Site) silence(v *visit) (view, error) {
	id := v.PathValue("id")
	text, err := v.text("comment")
	if err != nil {
		return view{}, err
	}
	length, err := time.ParseDuration(v.PostForm.Get("for"))
	if err != nil || length <= 0 || length > 30*day {
		return view{}, badInput("A silence lasts between a minute and 30 days.", "Choose one of the lengths in the form.")
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
	return view{goTo: "/incidents/" + url.PathEscape(id) + "?done=silenced"}, err
}

func (s *Site) endSilence(v *visit) (view, error) {
	id := v.PathValue("id")
	err := s.Alerting.Send(v.Context(), http.MethodDelete, "/v1/silences/"+url.PathEscape(id)+"?by="+url.QueryEscape(v.user.Name), nil, nil)
	return view{goTo: "/incidents?done=ended"}, err
}
