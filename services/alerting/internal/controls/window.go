package controls

import (
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const (
	windowMin = time.Minute
	windowMax = 7 * 24 * time.Hour
	nameMax   = 64 // bytes; it is in alerts and messages
	cronMax   = 128
	// maintenancePrefix starts the names of windows in Alert.SilencedBy.
	maintenancePrefix = "maintenance/"
)

// Matcher is a matcher of the configuration.
type Matcher struct {
	// Label is what is compared: rule, metric, severity, or a label of alerts.
	// Required.
	Label string `yaml:"label"`
	// Op is =, !=, =~ or !~. Required.
	Op string `yaml:"op"`
	// Value is what it is compared with; after =~ and !~ a regular expression (RE2)
	// that must match all of it. At most 256 bytes. Default none: the alert lacks
	// the label.
	Value string `yaml:"value"`
}

// Window is one entry of `alerting.maintenance`: a silence that comes again.
type Window struct {
	// Name identifies the window in alerts and logs. At most 64 bytes. Required.
	Name string `yaml:"name"`
	// Start is when it begins, as cron says it: minute, hour, day of the month,
	// month, day of the week. Required.
	Start string `yaml:"start"`
	// Duration is how long it lasts. Required. Range [1m, 7d].
	Duration time.Duration `yaml:"duration"`
	// Zone is the time zone of Start, by its IANA name. A start in the hour that
	// the change to summer time skips is skipped. Default none: UTC.
	Zone string `yaml:"zone"`
	// Matchers select the alerts whose messages it hides; all must match. 1 to 16.
	// Required.
	Matchers []Matcher `yaml:"matchers"`
	// Comment says why. At most 1000 bytes. Default none.
	Comment string `yaml:"comment"`
}

// Validate reports every fault to p.
func (w Window) Validate(p *config.Problems) {
	w.compile(p)
}

// maintenance is a Window ready for use.
type maintenance struct {
	Window
	matchers Matchers
	schedule cron.Schedule
	zone     *time.Location
}

func (w Window) compile(p *config.Problems) maintenance {
	m := maintenance{Window: w, zone: time.UTC}
	p.Check(w.Name != "" && len(w.Name) <= nameMax && plain(w.Name), "name", "%q must have 1 to %d bytes of text", clip(w.Name), nameMax)
	p.Check(w.Duration >= windowMin && w.Duration <= windowMax, "duration", "%s is not in [%s, %s]", w.Duration, config.FormatDuration(windowMin), config.FormatDuration(windowMax))
	p.Check(len(w.Comment) <= textMax, "comment", "%d bytes, at most %d", len(w.Comment), textMax)
	if w.Zone != "" {
		zone, err := time.LoadLocation(w.Zone)
		p.Check(err == nil && w.Zone != "Local", "zone", "%q is not an IANA time zone, such as Europe/Berlin", clip(w.Zone))
		if err == nil {
			m.zone = zone
		}
	}
	m.matchers = Compile(w.wire(), p)
	m.schedule = parseCron(w.Start, p)
	return m
}

// parseCron takes the five fields alone: the parser would also read a time zone,
// which has a field of its own, and intervals, which depend on the last start.
func parseCron(text string, p *config.Problems) cron.Schedule {
	if len(text) > cronMax || strings.ContainsAny(text, "=@") {
		p.Check(false, "start", "%q is not five fields of cron, such as \"0 2 * * sun\"", clip(text))
		return nil
	}
	s, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
	p.Check(err == nil, "start", "%q is not five fields of cron, such as \"0 2 * * sun\"", clip(text))
	if err != nil {
		return nil
	}
	p.Check(!s.Next(time.Unix(0, 0).UTC()).IsZero(), "start", "%q never occurs", clip(text))
	return s
}

func (w Window) wire() []schemas.AlertMatcher {
	out := make([]schemas.AlertMatcher, 0, len(w.Matchers))
	for _, m := range w.Matchers {
		out = append(out, schemas.AlertMatcher(m))
	}
	return out
}

// holds says whether now lies in the window: it began within its duration.
func (m *maintenance) holds(now time.Time) bool {
	next := m.schedule.Next(now.Add(-m.Duration).In(m.zone))
	return !next.IsZero() && !next.After(now)
}

// holding remembers which windows hold at one moment: many alerts ask at the same
// one, and to find the last start of a rare one takes microseconds.
type holding struct {
	mu      sync.Mutex
	now     time.Time      // guarded by mu
	windows []*maintenance // guarded by mu
}

func (h *holding) at(windows []maintenance, now time.Time) []*maintenance {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.now.Equal(now) {
		h.now, h.windows = now, nil
		for i := range windows {
			if windows[i].holds(now) {
				h.windows = append(h.windows, &windows[i])
			}
		}
	}
	return h.windows
}

// Inhibition is one entry of `alerting.inhibit`: an incident of one rule hides the
// messages of another rule on the same key.
type Inhibition struct {
	// By is the rule whose incident hides. Required.
	By string `yaml:"by"`
	// Mutes is the rule whose messages are hidden. Required.
	Mutes string `yaml:"mutes"`
}

// Validate reports every fault to p; rules are the names of all rules.
func (i Inhibition) Validate(rules map[string]bool, p *config.Problems) {
	p.Check(rules[i.By], "by", "%q is not the name of a rule", clip(i.By))
	p.Check(rules[i.Mutes], "mutes", "%q is not the name of a rule", clip(i.Mutes))
	p.Check(i.By != i.Mutes, "mutes", "%q would mute itself: name another rule", clip(i.Mutes))
}

// WindowState is a maintenance window as the API shows it.
type WindowState struct {
	Name     string                 `json:"name"`
	Comment  string                 `json:"comment,omitempty"`
	Matchers []schemas.AlertMatcher `json:"matchers"`
	Active   bool                   `json:"active"`
	// Next is when it begins the next time.
	Next time.Time `json:"next"`
}

// Windows returns the maintenance windows of the configuration at now.
func (s *Set) Windows(now time.Time) []WindowState {
	out := make([]WindowState, 0, len(s.windows))
	for i := range s.windows {
		w := &s.windows[i]
		out = append(out, WindowState{
			Name: w.Name, Comment: w.Comment, Matchers: w.wire(), Active: w.holds(now), Next: w.schedule.Next(now.In(w.zone)).UTC(),
		})
	}
	return out
}
