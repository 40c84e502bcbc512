package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/pipeline"
)

const (
	// playedLearnt are the days that rules only learn from, playedDays all of them.
	playedLearnt, playedDays = 28, 42
	// playedDayEvents are those of a weekday without its quiet hours.
	playedDayEvents = 20_000
	// playedStep is the time between two readings of a rule by SQL, as the service reads
	// one over a day.
	playedStep = 5 * time.Minute
)

// disturbance is something that goes wrong in the played weeks. Its fields are those of
// the tuples of sql/played.sql.
type disturbance struct {
	from, to                   time.Duration // since the weeks began
	source, provider, campaign string        // "" is any
	does                       string        // to messages: blocked, bounced, complained, missing, campaign
	share, until               float64       // of the messages, at from and at to
	finds                      []finding     // who should be called; none of what is not a fault
}

// finding is an incident that a disturbance should make.
type finding struct {
	rule, label, value string
	// after is when there is something to find, since the disturbance began: a slow decay
	// is not a spike at first.
	after time.Duration
}

// disturbances are the known truth: what is found, and what looks like it and is not.
func disturbances() []disturbance {
	day := func(day int, hour float64) time.Duration {
		return time.Duration((float64(day)*24 + hour) * float64(time.Hour))
	}
	bounces := []finding{{rule: "hard_bounce_warning", label: "campaign", value: "bad-list"}, {rule: "hard_bounce_critical", label: "campaign", value: "bad-list"}}
	const complaints = "complaint_warning"
	return []disturbance{
		// An IP block at a mailbox provider with two domains, on a Tuesday, and a short one at
		// another, whose one domain speaks for it.
		{day(29, 10), day(29, 13), "acme", "microsoft", "", "blocked", 0.9, 0.9, []finding{{rule: "block_spike", label: "mailbox_provider", value: "microsoft"}}},
		{day(36, 8), day(36, 9), "acme", "google", "", "blocked", 1, 1, []finding{{rule: "block_spike", label: "recipient_domain", value: "gmail.com"}}},
		// A reputation that decays over two days: after 29 hours it refuses 56 %.
		{day(31, 0), day(33, 0), "acme", "microsoft", "", "blocked", 0, 0.9, []finding{{rule: "block_spike", label: "mailbox_provider", value: "microsoft", after: 29 * time.Hour}}},
		// A third of what goes to a provider is not a spike.
		{day(38, 8), day(38, 20), "acme", "google", "", "blocked", 0.35, 0.35, nil},
		// A bad list, one that is only a warning, one that is not even that, a bad one that is small.
		{day(30, 9), day(30, 11), "acme", "", "bad-list", "campaign", 0.5, 0.5, nil},
		{day(30, 9), day(30, 11), "acme", "", "bad-list", "bounced", 0.25, 0.25, bounces},
		{day(35, 14), day(35, 17), "acme", "", "old-list", "campaign", 0.9, 0.9, nil},
		{day(35, 14), day(35, 17), "acme", "", "old-list", "bounced", 0.07, 0.07, []finding{{rule: "hard_bounce_warning", label: "campaign", value: "old-list"}}},
		{day(37, 9), day(37, 12), "acme", "", "fair-list", "campaign", 0.5, 0.5, nil},
		{day(37, 9), day(37, 12), "acme", "", "fair-list", "bounced", 0.03, 0.03, nil},
		{day(32, 9), day(32, 12), "gamma", "", "small-list", "campaign", 0.5, 0.5, nil},
		{day(32, 9), day(32, 12), "gamma", "", "small-list", "bounced", 0.5, 0.5, nil},
		// Complaints of two days, then worse ones.
		{day(31, 8), day(33, 0), "acme", "", "", "complained", 0.0035, 0.0035, []finding{{rule: complaints, label: "source", value: "acme"}}},
		{day(38, 8), day(40, 0), "acme", "", "", "complained", 0.01, 0.01, []finding{{rule: complaints, label: "source", value: "acme"}, {rule: "complaint_critical", label: "source", value: "acme"}}},
		// A broken feed, the way in for all of them, and a pause at night that is none.
		{day(36, 10), day(36, 16), "gamma", "", "", "missing", 1, 1, []finding{{rule: "silence", label: "source", value: "gamma"}}},
		{day(37, 15), day(37, 17), "", "", "", "missing", 1, 1, []finding{{rule: "silence", label: "all", value: "all"}}},
		{day(34, 1), day(34, 1.3), "gamma", "", "", "missing", 1, 1, nil},
		{day(35, 0), day(36, 0), "", "", "", "missing", 0.5, 0.5, nil}, // a holiday: half of the mail
	}
}

// tuple is the disturbance as sql/played.sql takes it.
func (d *disturbance) tuple() string {
	return fmt.Sprintf("(%d, %d, '%s', '%s', '%s', '%s', %f, %f)", int(d.from.Seconds()), int(d.to.Seconds()), d.source, d.provider, d.campaign, d.does, d.share, d.until)
}

// PlayedReport is what the built-in rules found in the played weeks.
type PlayedReport struct {
	Events int
	Took   time.Duration // to play them
	Rules  []PlayedRule
}

// PlayedRule is how one built-in rule did.
type PlayedRule struct {
	Rule string
	// Faults are those it should find, Found those it did, and Pages its messages that
	// were about one of these for the first time or about none.
	Faults, Found, Pages int
	// Middle and Longest are from the fault to the incident.
	Middle, Longest time.Duration
	// Wrong are the pages about nothing, for people.
	Wrong []string
}

// Good says whether the rule did what it is there for: nearly every page was about a
// fault, and every fault was found in time. The delays come from the minimal volumes and
// the windows: complaints are counted over a day, a list within the hour.
func (p PlayedRule) Good() bool {
	return p.Precision() >= PlayedPrecisionMin && p.Recall() >= 1 && p.Longest <= PlayedDelayMax(p.Rule)
}

// PlayedPrecisionMin bounds the share of pages that are about a fault.
const PlayedPrecisionMin = 0.9

// PlayedDelayMax is how long after a fault the rule must have found it.
func PlayedDelayMax(name string) time.Duration {
	switch {
	case strings.HasPrefix(name, "complaint"):
		return 12 * time.Hour
	case strings.HasPrefix(name, "hard_bounce"):
		return 2 * time.Hour
	case name == "silence":
		return 20 * time.Minute
	default:
		return 90 * time.Minute
	}
}

// Precision returns the share of the pages that were about a fault.
func (p PlayedRule) Precision() float64 { return float64(p.Found) / float64(max(p.Pages, 1)) }

// Recall returns the share of the faults that were found.
func (p PlayedRule) Recall() float64 { return float64(p.Found) / float64(max(p.Faults, 1)) }

// Played plays two weeks of mail with known faults, after four weeks without, to the
// built-in rules. The calling program must be able to be the engine's child.
func Played(ctx context.Context, opt Options) (PlayedReport, error) {
	opt = opt.withDefaults()
	d, stop, err := newDrain(ctx, opt)
	if err != nil {
		return PlayedReport{}, err
	}
	defer stop()
	cfg, err := d.config("played")
	if err == nil {
		err = pipeline.MigrateTables(ctx, cfg, zap.NewNop())
	}
	if err != nil {
		return PlayedReport{}, err
	}
	return PlayedIn(ctx, cfg)
}

// PlayedIn does the same in the database of cfg, which must be empty and migrated.
func PlayedIn(ctx context.Context, cfg pipeline.Config) (report PlayedReport, err error) {
	began := time.Date(2026, 8, 31, 0, 0, 0, 0, time.UTC) // a Monday
	all := disturbances()
	var tuples []string
	for i := range all {
		tuples = append(tuples, all[i].tuple())
	}
	database := cfg.ClickHouse.Database
	_, err = askSQL(ctx, cfg.ClickHouse.URL, database, "played", "{{days}}", strconv.Itoa(playedDays), "{{events}}", strconv.Itoa(playedDayEvents),
		"{{from}}", began.Format(clickHouseTime), "{{disturbances}}", strings.Join(tuples, ", "))
	if err != nil {
		return report, err
	}
	count, err := askSQL(ctx, cfg.ClickHouse.URL, database, "drained_rows")
	if err == nil {
		report.Events, err = strconv.Atoi(count)
	}
	if err != nil {
		return report, fmt.Errorf("count the events of the played weeks: %w", err)
	}
	start := time.Now()
	from := began.AddDate(0, 0, playedLearnt)
	played, err := pipeline.PlayHistory(ctx, cfg, cfg.Rules(), playback.Options{From: from, To: began.AddDate(0, 0, playedDays), Step: playedStep}, zap.NewNop())
	if err != nil {
		return report, err
	}
	report.Took = time.Since(start)
	for _, s := range played.Rules {
		report.Rules = append(report.Rules, score(s.Rule, played.Incidents, all, began))
	}
	return report, nil
}

// score compares the incidents of one rule with the truth.
func score(name string, incidents []playback.Incident, all []disturbance, began time.Time) PlayedRule {
	out := PlayedRule{Rule: name}
	found := make([]bool, len(incidents))
	var delays []time.Duration
	for _, d := range all {
		for _, f := range d.finds {
			if f.rule != name {
				continue
			}
			out.Faults++
			since := began.Add(d.from + f.after)
			i := slices.IndexFunc(incidents, func(in playback.Incident) bool {
				return f.is(&in) && !in.Start.Before(since) && !in.Start.After(began.Add(d.to))
			})
			if i >= 0 {
				found[i] = true
				out.Found++
				delays = append(delays, incidents[i].Start.Sub(since))
			}
		}
	}
	for i := range incidents {
		in := &incidents[i]
		if in.Rule != name || in.Covered {
			continue
		}
		out.Pages++
		if !found[i] {
			out.Wrong = append(out.Wrong, fmt.Sprintf("%s %v %d of %d", in.Start.Format(clickHouseTime), in.Labels, in.Bad, in.Total))
		}
	}
	if len(delays) > 0 {
		slices.Sort(delays)
		out.Middle, out.Longest = delays[len(delays)/2], delays[len(delays)-1]
	}
	return out
}

// is says whether an incident is the finding.
func (f finding) is(in *playback.Incident) bool {
	return in.Rule == f.rule && in.Labels[f.label] == f.value && !in.Covered
}
