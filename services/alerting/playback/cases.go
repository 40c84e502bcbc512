package playback

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Cases are unit cases of rules: mail that comes at stated times, and the state
// that each alert must have then.
type Cases struct {
	// Rules are those under test. Left out, the caller's.
	Rules []rule.Rule `yaml:"rules"`
	// Cases are independent of each other; each begins without any mail.
	Cases []Case `yaml:"cases"`
}

// Case is one played situation.
type Case struct {
	// Name says what is to be shown.
	Name string `yaml:"name"`
	// Mail is what comes.
	Mail []Mail `yaml:"mail"`
	// Expect is looked at in the order of its times.
	Expect []Expectation `yaml:"expect"`
}

// Mail is a number of messages at one time, or every so often for a while.
type Mail struct {
	// At is when they come, from the start of the case. Default 0s.
	At time.Duration `yaml:"at"`
	// Every repeats them until At + For. Default 0s: once.
	Every time.Duration `yaml:"every"`
	// For is how long they repeat.
	For time.Duration `yaml:"for"`
	// Source is the account they are sent from. Default "source".
	Source string `yaml:"source"`
	// RecipientDomain is where they go.
	RecipientDomain string `yaml:"recipient_domain"`
	// MailboxProvider runs RecipientDomain. Default none.
	MailboxProvider string `yaml:"mailbox_provider"`
	// Delivered, Bounced and Blocked are how many messages end so.
	Delivered int64 `yaml:"delivered"`
	Bounced   int64 `yaml:"bounced"`
	Blocked   int64 `yaml:"blocked"`
}

// Expectation is the state that one alert must have at one time.
type Expectation struct {
	At              time.Duration `yaml:"at"`
	Rule            string        `yaml:"rule"`
	Source          string        `yaml:"source"`
	RecipientDomain string        `yaml:"recipient_domain"`
	MailboxProvider string        `yaml:"mailbox_provider"`
	// State is pending, firing, recovering, resolved, or none: it never began.
	State string `yaml:"state"`
	// Ended is why it is resolved: recovered or no_traffic. Default any.
	Ended string `yaml:"ended"`
	// Covered says whether the message of another incident reports this one. Left out,
	// either.
	Covered *bool `yaml:"covered"`
}

const (
	casesMax = 1_000
	// mailMax bounds the entries of one case, playedMax the times they come.
	mailMax   = 1_000
	playedMax = 100_000
	// lengthMax bounds the time of one case.
	lengthMax = 31 * 24 * time.Hour
	stateNone = "none"
	// defaultSource is the source of mail and expectations that name none.
	defaultSource = "source"
)

// ReadCases reads a file of cases; fallback are the rules of one that has none.
func ReadCases(name string, text []byte, fallback Rules) (Cases, Rules, error) {
	var c Cases
	rules := fallback
	_, err := config.Load(&c, Cases{}, config.Source{File: text, Name: name, Across: func(p *config.Problems) {
		if len(c.Rules) > 0 {
			rules = Of(c.Rules)
		}
		c.check(p)
		c.checkNames(rules, p)
	}})
	if err != nil {
		return Cases{}, Rules{}, err
	}
	return c, rules, nil
}

func (c *Cases) check(p *config.Problems) {
	if len(c.Rules) > 0 {
		checkRules(c.Rules, p)
	}
	p.Check(len(c.Cases) > 0, "cases", "is empty: give at least one case")
	p.Check(len(c.Cases) <= casesMax, "cases", "%d of them, want at most %d", len(c.Cases), casesMax)
	for i := range c.Cases {
		c.Cases[i].check(p.At(fmt.Sprintf("cases[%d]", i)))
	}
}

func (c *Case) check(p *config.Problems) {
	p.Check(c.Name != "", "name", "is empty")
	p.Check(len(c.Expect) > 0, "expect", "is empty: a case without expectations checks nothing")
	p.Check(len(c.Mail) <= mailMax, "mail", "%d of them, want at most %d", len(c.Mail), mailMax)
	times := int64(0)
	for i := range c.Mail {
		m, at := &c.Mail[i], p.At(fmt.Sprintf("mail[%d]", i))
		at.Check(m.At >= 0 && m.At <= lengthMax, "at", "%s is not in [0s, %s]", m.At, config.FormatDuration(lengthMax))
		at.Check(m.For >= 0 && m.At+m.For <= lengthMax, "for", "%s is not in [0s, %s - at]", m.For, config.FormatDuration(lengthMax))
		at.Check(m.Every == 0 || m.Every >= time.Second, "every", "%s is below 1s", m.Every)
		at.Check((m.Every == 0) == (m.For == 0), "every", "every and for belong together: set both or neither")
		at.Check(m.RecipientDomain != "" || m.MailboxProvider != "", "recipient_domain", "is empty, and so is mailbox_provider")
		for field, n := range map[string]int64{"delivered": m.Delivered, "bounced": m.Bounced, "blocked": m.Blocked} {
			at.Check(n >= 0 && n <= 1_000_000_000, field, "%d is not in [0, 1000000000]", n)
		}
		at.Check(m.Delivered+m.Bounced+m.Blocked > 0, "delivered", "is 0, and so are bounced and blocked: give at least one message")
		times++
		if m.Every >= time.Second {
			times += int64(m.For / m.Every)
		}
	}
	p.Check(times <= playedMax, "mail", "would be played %d times in all, want at most %d", times, playedMax)
	for i := range c.Expect {
		c.Expect[i].check(p.At(fmt.Sprintf("expect[%d]", i)))
	}
}

func (e *Expectation) check(p *config.Problems) {
	states := []string{stateNone, string(schemas.AlertPending), string(schemas.AlertFiring), string(schemas.AlertRecovering), string(schemas.AlertResolved)}
	ends := []string{"", string(schemas.EndRecovered), string(schemas.EndNoTraffic)}
	p.Check(e.At >= 0 && e.At <= lengthMax, "at", "%s is not in [0s, %s]", e.At, config.FormatDuration(lengthMax))
	p.Check(slices.Contains(states, e.State), "state", "%q is not one of %q", e.State, states)
	p.Check(slices.Contains(ends, e.Ended), "ended", "%q is not one of %q", e.Ended, ends[1:])
	p.Check(e.Ended == "" || e.State == string(schemas.AlertResolved), "ended", "needs state: resolved")
	p.Check((e.RecipientDomain == "") != (e.MailboxProvider == ""), "recipient_domain", "set either this or mailbox_provider")
}

// checkNames reports expectations of rules that are not there.
func (c *Cases) checkNames(rules Rules, p *config.Problems) {
	for i := range c.Cases {
		for j, e := range c.Cases[i].Expect {
			known := slices.ContainsFunc(rules.list, func(r played) bool { return r.Name == e.Rule })
			p.Check(known, fmt.Sprintf("cases[%d].expect[%d].rule", i, j), "%q is not a rule under test that is judged from the stream", e.Rule)
		}
	}
}

// Result is one case as it went.
type Result struct {
	Case   string   `json:"case"`
	OK     bool     `json:"ok"`
	Faults []string `json:"faults,omitempty"`
}

// Test plays all cases.
func (c *Cases) Test(rules Rules) []Result {
	out := make([]Result, 0, len(c.Cases))
	for i := range c.Cases {
		faults := c.Cases[i].play(rules)
		out = append(out, Result{Case: c.Cases[i].Name, OK: len(faults) == 0, Faults: faults})
	}
	return out
}

// base is when every case begins; any pane edge would do.
var base = time.Unix(1_767_225_600, 0).UTC()

// caseTick is how often the rules look, as closely as the panes let them.
const caseTick = window.PaneLength

// play returns what was not as expected.
func (c *Case) play(rules Rules) (faults []string) {
	p := newPlayer(rules)
	arrivals := c.arrivals()
	expect := slices.Clone(c.Expect)
	slices.SortStableFunc(expect, func(a, b Expectation) int { return cmp.Compare(a.At, b.At) })
	f := newFold(p.table)
	now := time.Duration(0)
	for _, e := range expect {
		for ; now <= e.At; now += caseTick {
			for len(arrivals) > 0 && arrivals[0].at <= now {
				pane := base.Add(arrivals[0].at).Truncate(window.PaneLength)
				for len(arrivals) > 0 && base.Add(arrivals[0].at).Truncate(window.PaneLength).Equal(pane) {
					f.add(arrivals[0].row())
					arrivals = arrivals[1:]
				}
				f.minute = pane
				f.flush()
			}
			p.judge(base.Add(now))
		}
		if fault := e.compare(p); fault != "" {
			faults = append(faults, fault)
		}
	}
	return faults
}

// arrival is one time that mail comes.
type arrival struct {
	at   time.Duration
	mail *Mail
}

func (a arrival) row() *minute {
	return &minute{
		Source: cmp.Or(a.mail.Source, defaultSource), RecipientDomain: a.mail.RecipientDomain, MailboxProvider: a.mail.MailboxProvider,
		Delivered: uint64(a.mail.Delivered), Bounced: uint64(a.mail.Bounced), Blocked: uint64(a.mail.Blocked),
	}
}

func (c *Case) arrivals() []arrival {
	var out []arrival
	for i := range c.Mail {
		m := &c.Mail[i]
		out = append(out, arrival{m.At, m})
		for at := m.At + m.Every; m.Every > 0 && at <= m.At+m.For; at += m.Every {
			out = append(out, arrival{at, m})
		}
	}
	slices.SortStableFunc(out, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return out
}

// compare returns what is not as expected, "" for nothing.
func (e *Expectation) compare(p *player) string {
	key := window.Key{Source: cmp.Or(e.Source, defaultSource), Dimension: schemas.DimensionDomain, Value: e.RecipientDomain}
	if e.MailboxProvider != "" {
		key.Dimension, key.Value = schemas.DimensionProvider, e.MailboxProvider
	}
	i := slices.IndexFunc(p.rules, func(r played) bool { return r.Name == e.Rule })
	state, ended, covered := p.last(stateKey{i, key})
	at := fmt.Sprintf("at %s %s of %s", config.FormatDuration(e.At), e.Rule, where(labels(key)))
	c := p.table.Sum(key, window.First(base.Add(e.At), p.rules[i].Window))
	counts := fmt.Sprintf("%d of %d messages blocked", c.Blocked, c.Total())
	switch {
	case state != e.State:
		return fmt.Sprintf("%s is %s, want %s (%s)", at, state, e.State, counts)
	case e.Ended != "" && ended != e.Ended:
		return fmt.Sprintf("%s ended as %s, want %s (%s)", at, ended, e.Ended, counts)
	case e.Covered != nil && covered != *e.Covered:
		return fmt.Sprintf("%s is covered: %t, want %t", at, covered, *e.Covered)
	}
	return ""
}

// last returns where an alert is, or how its latest incident ended.
func (p *player) last(at stateKey) (state, ended string, covered bool) {
	mine := labels(at.key)
	for i := len(p.done) - 1; i >= 0 && ended == ""; i-- {
		in := &p.done[i]
		if in.Rule == p.rules[at.rule].Name && where(in.Labels) == where(mine) {
			ended, covered = in.Ended, in.Covered
			state = string(schemas.AlertResolved)
			break
		}
	}
	if s := p.states[at]; s != nil {
		return string(s.status.State), "", covered
	}
	return cmp.Or(state, stateNone), ended, covered
}

// WriteResults prints results for people and returns how many cases failed.
func WriteResults(out io.Writer, results []Result) (failed int) {
	for _, r := range results {
		word := "ok"
		if !r.OK {
			word, failed = "FAIL", failed+1
		}
		fmt.Fprintf(out, "%-4s  %s\n", word, r.Case)
		for _, f := range r.Faults {
			fmt.Fprintf(out, "      %s\n", f)
		}
	}
	return failed
}
