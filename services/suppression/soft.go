package suppression

import (
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// SoftBounces says from when on an address that fails for reasons that may pass is
// listed, and for how long. Defaults without another source are those of five failures
// on three days in two weeks: five is what most products take (Mautic, issue 820), and
// several days keep one bad evening from listing anybody.
type SoftBounces struct {
	// MailboxFull counts full mailboxes: five messages on three days.
	MailboxFull Threshold `yaml:"mailbox_full"`
	// MailboxInactive counts mailboxes that are switched off. Engaging Networks takes one
	// such bounce for enough; three on three days leave time to switch it on.
	MailboxInactive Threshold `yaml:"mailbox_inactive"`
	// Greylisted counts messages that were given up while greylisted. It says little of the
	// mailbox, so twice the usual is asked for, on five days.
	Greylisted Threshold `yaml:"greylisted"`
	// Timeout counts servers that did not answer. Engaging Networks counts three; an
	// outage of a weekend is not a dead address, so five on five days are asked for.
	Timeout Threshold `yaml:"timeout"`
	// Within is the time in which the messages of a threshold have to fail. Default 14d.
	// Range [5d, 90d].
	Within time.Duration `yaml:"within"`
	// Steps is how long the first, second, ... time lists an address; a delivery, open or
	// click later begins at the first. Mandrill renews its entries in the same way.
	// Default [14d, 30d, 90d]. Range of each [1d, 365d].
	Steps []time.Duration `yaml:"steps"`
}

// Threshold is how many messages have to fail on how many days.
type Threshold struct {
	// Messages is how many different messages have to fail; 0 never lists for this
	// reason. Default by reason. Range [0, 10].
	Messages int `yaml:"messages"`
	// Days is on how many days (UTC) they have to fail. Default by reason. Range [1, 5].
	Days int `yaml:"days"`
}

const (
	softDaysMax   = 5 // three steps of them are kept: list.SoftDaysMax
	softWithinMin = softDaysMax * 24 * time.Hour
	softWithinMax = 90 * 24 * time.Hour
	softStepsMax  = 10
)

func defaultSoftBounces() SoftBounces {
	const day = 24 * time.Hour
	return SoftBounces{
		MailboxFull: Threshold{Messages: 5, Days: 3}, MailboxInactive: Threshold{Messages: 3, Days: 3},
		Greylisted: Threshold{Messages: 10, Days: 5}, Timeout: Threshold{Messages: 5, Days: 5},
		Within: 14 * day, Steps: []time.Duration{14 * day, 30 * day, 90 * day},
	}
}

func (c SoftBounces) thresholds() map[schemas.Reason]Threshold {
	return map[schemas.Reason]Threshold{
		schemas.MailboxFull: c.MailboxFull, schemas.MailboxInactive: c.MailboxInactive,
		schemas.Greylisted: c.Greylisted, schemas.Timeout: c.Timeout,
	}
}

func (c SoftBounces) ladder() list.Ladder {
	l := list.Ladder{Thresholds: map[schemas.Reason]list.Threshold{}, Within: c.Within, Steps: slices.Clone(c.Steps)}
	for reason, t := range c.thresholds() {
		l.Thresholds[reason] = list.Threshold(t)
	}
	return l
}

func (c SoftBounces) validate(p *config.Problems) {
	for reason, t := range c.thresholds() {
		p.Check(t.Messages >= 0 && t.Messages <= list.SoftPerDayMax, string(reason)+".messages", "%d is not in [0, %d]", t.Messages, list.SoftPerDayMax)
		p.Check(t.Days >= 1 && t.Days <= softDaysMax, string(reason)+".days", "%d is not in [1, %d]", t.Days, softDaysMax)
		p.Check(t.Messages == 0 || t.Messages >= t.Days, string(reason)+".messages", "%d is below the %d days they have to fail on", t.Messages, t.Days)
	}
	p.Check(c.Within >= softWithinMin && c.Within <= softWithinMax, "within", "%s is not in [%s, %s]",
		config.FormatDuration(c.Within), config.FormatDuration(softWithinMin), config.FormatDuration(softWithinMax))
	p.Check(len(c.Steps) >= 1 && len(c.Steps) <= softStepsMax, "steps", "%d of them, want 1 to %d", len(c.Steps), softStepsMax)
	for _, step := range c.Steps {
		p.Check(step >= probationMin && step <= probationMax, "steps", "%s is not in [%s, %s]",
			config.FormatDuration(step), config.FormatDuration(probationMin), config.FormatDuration(probationMax))
	}
}
