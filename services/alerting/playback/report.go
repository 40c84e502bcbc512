package playback

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Options say what is played.
type Options struct {
	// From and To bound the history, From before To.
	From, To time.Time
	// Exact plays each event in the order it was received instead of counts by
	// minute: slower, and one outcome a message as in the service.
	Exact bool
	// Step is the time between two readings of a rule by SQL, from StepMin to StepMax; 0
	// is StepDefault.
	Step time.Duration
	// Progress is called after each step of the history; it may be nil.
	Progress func(done time.Time, messages int64)
	// Limits bound what a run may take. The zero value of a field takes its default.
	Limits Limits
}

// Report is what the rules would have done.
type Report struct {
	From      time.Time  `json:"from"`
	To        time.Time  `json:"to"`
	Exact     bool       `json:"exact"`
	Messages  int64      `json:"messages"` // that were played; by minute: outcomes, else events
	Rules     []Summary  `json:"rules"`
	Incidents []Incident `json:"incidents"`
	// Step is the time between two readings of the rules by SQL, 0 when there is none.
	StepSeconds float64 `json:"step_seconds,omitempty"`
	// Unplayed are rules that are switched off: they are left out.
	Unplayed []string `json:"unplayed,omitempty"`
	// Short says of which rules the history does not reach back far enough.
	Short []string `json:"short,omitempty"`
	// Missed are incidents that really fired and no rule of that name would have
	// had.
	Missed []Fired `json:"missed"`
}

// Summary is one rule, or one variant of it.
type Summary struct {
	Rule    string `json:"rule"`
	Variant string `json:"variant,omitempty"`
	// Incidents are those that began in the time, Covered those of them that the
	// message of another one reports.
	Incidents int `json:"incidents"`
	Covered   int `json:"covered"`
	// Late are those without a page, because their events came
	// too late; only an exact run has them.
	Late int `json:"late"`
	// PagesPerWeek are the messages that an incident begins, a week.
	PagesPerWeek float64 `json:"pages_per_week"`
	// Fired are the incidents that the service really had under that name; Both of
	// them were played, Missed were not; New were played only.
	Fired  int `json:"fired"`
	Both   int `json:"both"`
	Missed int `json:"missed"`
	New    int `json:"new"`
	// EarlierSeconds is how much earlier than the service the played incidents of
	// Both began, the median; below zero: later.
	EarlierSeconds float64 `json:"earlier_seconds"`
	LongestSeconds float64 `json:"longest_seconds"`
}

// Run plays the history in client's database.
func Run(ctx context.Context, client *clickhouse.Client, rules Rules, opt Options) (Report, error) {
	if !opt.From.Before(opt.To) {
		return Report{}, fmt.Errorf("play history: from %s is not before to %s", opt.From.Format(time.RFC3339), opt.To.Format(time.RFC3339))
	}
	if len(rules.list)+len(rules.sql) == 0 {
		return Report{}, fmt.Errorf("play history: all rules are switched off: %q", rules.unplayed)
	}
	step, err := checkStep(opt.Step)
	if err != nil {
		return Report{}, err
	}
	h := &history{client: client, from: opt.From, to: opt.To, exact: opt.Exact, note: opt.Progress, limits: opt.Limits.withDefaults()}
	if h.note == nil {
		h.note = func(time.Time, int64) {}
	}
	p := newPlayer(rules)
	play := h.byMinute
	if opt.Exact {
		play = h.exactly
	}
	if len(rules.list) > 0 {
		if err := play(ctx, p); err != nil {
			return Report{}, fmt.Errorf("play history: %w", err)
		}
	}
	if len(rules.sql) > 0 {
		found, err := h.bySQL(ctx, rules.sql, step)
		if err != nil {
			return Report{}, fmt.Errorf("play history to rules by SQL: %w", err)
		}
		p.done = append(p.done, found...)
	}
	short, err := h.short(ctx, rules)
	if err != nil {
		return Report{}, fmt.Errorf("read where the history begins: %w", err)
	}
	if opt.Exact {
		late, err := h.late(ctx, p.rules)
		if err != nil {
			return Report{}, fmt.Errorf("play what came late: %w", err)
		}
		p.done = append(p.done, late...)
	}
	fired, err := h.fired(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("read what fired: %w", err)
	}
	r := Report{From: opt.From, To: opt.To, Exact: opt.Exact, Messages: h.messages, Unplayed: rules.unplayed, Short: short, Missed: []Fired{}}
	if len(rules.sql) > 0 {
		r.StepSeconds = step.Seconds()
	}
	r.Incidents = slices.DeleteFunc(p.done, func(in Incident) bool { // of the warm-up
		return !in.End.IsZero() && in.End.Before(opt.From)
	})
	slices.SortStableFunc(r.Incidents, func(a, b Incident) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Rule+nameSeparator+a.Variant, b.Rule+nameSeparator+b.Variant), cmp.Compare(where(a.Labels), where(b.Labels)))
	})
	if r.Incidents == nil {
		r.Incidents = []Incident{}
	}
	r.compare(slices.Concat(rules.list, rules.sql), fired)
	return r, nil
}

// compare finds for each played incident the one that really fired.
func (r *Report) compare(rules []played, fired []Fired) {
	weeks := r.To.Sub(r.From).Hours() / (7 * 24)
	for i := range rules {
		s := Summary{Rule: rules[i].Name, Variant: rules[i].variant}
		met := make(map[string]bool) // fired incidents that were played
		var earlier, lasted []time.Duration
		for j := range r.Incidents {
			in := &r.Incidents[j]
			if in.Rule != s.Rule || in.Variant != s.Variant {
				continue
			}
			s.Incidents++
			switch {
			case in.Late:
				s.Late++
			case in.Covered:
				s.Covered++
			}
			end := in.End
			if end.IsZero() {
				end = r.To
			}
			lasted = append(lasted, end.Sub(in.Start))
			k := slices.IndexFunc(fired, func(f Fired) bool { return f.Rule == in.Rule && f.meets(in, r.To) && !met[f.Incident] })
			if k < 0 {
				s.New++
				continue
			}
			in.Then = &fired[k]
			met[fired[k].Incident] = true
			s.Both++
			earlier = append(earlier, fired[k].Start.Sub(in.Start))
		}
		for _, f := range fired {
			if f.Rule != s.Rule {
				continue
			}
			s.Fired++
			if !met[f.Incident] {
				s.Missed++
				if s.Variant == "" {
					r.Missed = append(r.Missed, f)
				}
			}
		}
		s.PagesPerWeek = float64(s.Incidents-s.Covered-s.Late) / weeks
		slices.Sort(earlier)
		if len(earlier) > 0 {
			s.EarlierSeconds = earlier[len(earlier)/2].Seconds()
		}
		if len(lasted) > 0 {
			s.LongestSeconds = slices.Max(lasted).Seconds()
		}
		r.Rules = append(r.Rules, s)
	}
}

// meets says whether f is about the same mail at the same time.
func (f *Fired) meets(in *Incident, to time.Time) bool {
	over := func(end time.Time) time.Time {
		if end.IsZero() {
			return to
		}
		return end
	}
	return maps.Equal(f.Labels, in.Labels) && !f.Start.After(over(in.End)) && !in.Start.After(over(f.End))
}

// Write prints the report for people.
func (r *Report) Write(out io.Writer) error {
	how := "counts by minute"
	if r.Exact {
		how = "events in the order received"
	}
	if r.StepSeconds > 0 {
		how += ", rules by SQL read every " + seconds(r.StepSeconds)
	}
	fmt.Fprintf(out, "%s to %s, %d messages, %s\n\n", r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339), r.Messages, how)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tINCIDENTS\tCOVERED\tPAGES/WEEK\tFIRED\tBOTH\tMISSED\tNEW\tEARLIER\tLONGEST")
	for _, s := range r.Rules {
		p := played{variant: s.Variant}
		p.Name = s.Rule
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t%d\t%d\t%d\t%d\t%s\t%s\n", p.title(), s.Incidents, s.Covered, s.PagesPerWeek,
			s.Fired, s.Both, s.Missed, s.New, seconds(s.EarlierSeconds), seconds(s.LongestSeconds))
	}
	swept := slices.ContainsFunc(r.Rules, func(s Summary) bool { return s.Variant != "" })
	if len(r.Incidents) > 0 && !swept {
		fmt.Fprintln(w, "\nSTART\tLASTED\tPEAK\tBAD OF\tRULE\tWHERE\tFIRED THEN")
		for i := range r.Incidents {
			r.Incidents[i].write(w, r.To)
		}
	}
	for _, f := range r.Missed {
		fmt.Fprintf(w, "%s\tmissed\t%.0f %%\t\t%s\t%s\t%s\n", f.Start.UTC().Format(time.RFC3339), f.Peak*100, f.Rule, where(f.Labels), f.Incident)
	}
	if len(r.Unplayed) > 0 {
		fmt.Fprintf(w, "\nnot played, as they are switched off: %s\n", strings.Join(r.Unplayed, ", "))
	}
	for _, s := range r.Short {
		fmt.Fprintf(w, "\ntoo little history: %s\n", s)
	}
	return w.Flush()
}

func (in *Incident) write(w io.Writer, to time.Time) {
	lasted := "lasts"
	if !in.End.IsZero() {
		lasted = seconds(in.End.Sub(in.Start).Seconds())
	}
	then := "no"
	switch {
	case in.Then != nil:
		then = in.Then.Incident
	case in.Late:
		then = "no (late)"
	case in.Covered:
		then = "no (covered)"
	}
	fmt.Fprintf(w, "%s\t%s\t%.0f %%\t%d of %d\t%s\t%s\t%s\n", in.Start.UTC().Format(time.RFC3339), lasted, in.Peak*100, in.Bad, in.Total,
		in.Rule, where(in.Labels), then)
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second)).Round(time.Second)
	if d < 0 {
		return "-" + config.FormatDuration(-d)
	}
	return config.FormatDuration(cmp.Or(d, 0))
}
