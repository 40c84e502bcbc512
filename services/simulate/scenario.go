package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// Scenario is what happens to the played messages.
type Scenario string

// The scenarios.
const (
	Normal      Scenario = "normal"       // a healthy sender's mix
	BlockSpike  Scenario = "block-spike"  // one domain refuses most of its mail
	BounceStorm Scenario = "bounce-storm" // a list full of dead addresses
	Complaints  Scenario = "complaints"   // an unsolicited mailing
)

// Scenarios returns the names of all scenarios, sorted.
func Scenarios() []string { return sortedNames(scenarios()) }

// odds are the shares of messages that end one way; the rest are delivered. The
// later four are shares of the delivered.
type odds struct {
	hard, soft, blocked, deferred             float64
	opened, clicked, complained, unsubscribed float64
}

func healthy() *odds {
	return &odds{
		hard: 0.008, soft: 0.006, blocked: 0.004, deferred: 0.01,
		opened: 0.25, clicked: 0.04, complained: 0.0004, unsubscribed: 0.002,
	}
}

func scenarios() map[Scenario]*odds {
	storm, complaints := healthy(), healthy()
	storm.hard = 0.4
	complaints.complained, complaints.unsubscribed = 0.03, 0.05
	return map[Scenario]*odds{Normal: healthy(), BlockSpike: healthy(), BounceStorm: storm, Complaints: complaints}
}

// The block spike: spikeShare of all mail goes to the domain, which blocks
// spikeBlocked of it, well over the 60 % that the built-in rule waits for.
const (
	spikeShare   = 0.4
	spikeBlocked = 0.85
)

// reorderEvents is how many events Reorder shuffles among.
const reorderEvents = 200

// story plays messages one after the other.
type story struct {
	cfg     Config
	odds    *odds
	hasWord func(*dialect.Fact) bool // nil: the provider has a word for everything
	rng     *rand.Rand
	pending []dialect.Fact
	message int64
	now     func() time.Time
}

// messageIDFirst is beyond 2^53, so that a reader that takes JSON numbers for
// doubles is found out.
const messageIDFirst = 576_460_761_234_567_890

func newStory(cfg Config, hasWord func(*dialect.Fact) bool, rng *rand.Rand) *story {
	return &story{
		cfg: cfg, odds: scenarios()[cfg.Scenario], hasWord: hasWord, rng: rng, now: time.Now,
		// Runs must not meet each other's messages, whatever their seed.
		message: messageIDFirst + time.Now().UnixMilli()%1e9*1000,
	}
}

// next returns the n facts that are due.
func (s *story) next(n int) []dialect.Fact {
	want := n
	if s.cfg.Reorder {
		want += reorderEvents
	}
	for len(s.pending) < want {
		for _, f := range s.play() {
			if s.hasWord == nil || s.hasWord(&f) {
				s.pending = append(s.pending, f)
			}
		}
	}
	if s.cfg.Reorder {
		s.rng.Shuffle(len(s.pending), func(i, j int) { s.pending[i], s.pending[j] = s.pending[j], s.pending[i] })
	}
	facts := slices.Clone(s.pending[:n])
	s.pending = slices.Delete(s.pending, 0, n)
	return facts
}

// play returns the life of one more message.
func (s *story) play() []dialect.Fact {
	s.message++
	domain, blocked := s.domain()
	first := dialect.Fact{MessageID: s.message, Campaign: "simulated", Event: schemas.Event{
		Recipient: fmt.Sprintf("person-%d@%s", s.message%1_000_000, domain),
		Time:      s.now().UTC().Truncate(time.Second),
	}}
	switch x := s.rng.Float64(); {
	case x < blocked:
		return []dialect.Fact{because(first, schemas.Event{Type: schemas.Blocked, Reason: schemas.Reputation, SMTPReply: "550 5.7.1 message refused because of the reputation of the sending address"})}
	case x < blocked+s.odds.hard:
		return []dialect.Fact{because(first, schemas.Event{Type: schemas.Bounced, BounceType: schemas.Hard, Reason: schemas.InvalidRecipient, SMTPReply: "550 5.1.1 no such user here"})}
	case x < blocked+s.odds.hard+s.odds.soft:
		return []dialect.Fact{because(first, schemas.Event{Type: schemas.Bounced, BounceType: schemas.Soft, Reason: schemas.MailboxFull, SMTPReply: "452 4.2.2 mailbox is over quota"})}
	case x < blocked+s.odds.hard+s.odds.soft+s.odds.deferred:
		facts := s.delivered(first)
		deferred := because(facts[0], schemas.Event{Type: schemas.Deferred, Reason: schemas.Greylisted, SMTPReply: "451 4.7.1 greylisted, come back in five minutes"})
		return append([]dialect.Fact{deferred}, facts...)
	default:
		return s.delivered(first)
	}
}

func (s *story) domain() (name string, blocked float64) {
	if s.cfg.Scenario == BlockSpike && s.rng.Float64() < spikeShare {
		return s.cfg.Domain, spikeBlocked
	}
	domains := []string{"gmail.com", "gmail.com", "gmail.com", "outlook.com", "yahoo.com", "icloud.com", "gmx.de", "example.com", "example.org", "example.net"}
	return domains[s.rng.IntN(len(domains))], s.odds.blocked
}

// readAfterMin is after how long people open, click or complain at the earliest: whoever is
// faster is a machine.
const readAfterMin = 70 * time.Second

// delivered returns the delivery of a message and what people do with it now. The delivery
// of a message that somebody reads is from before.
func (s *story) delivered(first dialect.Fact) []dialect.Fact {
	var facts []dialect.Fact
	for _, later := range []struct {
		t     schemas.Type
		share float64
	}{{schemas.Opened, s.odds.opened}, {schemas.Clicked, s.odds.clicked}, {schemas.Complained, s.odds.complained}, {schemas.Unsubscribed, s.odds.unsubscribed}} {
		if s.rng.Float64() < later.share {
			facts = append(facts, because(first, schemas.Event{Type: later.t}))
		}
	}
	if len(facts) > 0 {
		first.Event.Time = first.Event.Time.Add(-readAfterMin - time.Duration(s.message%60)*time.Second)
	}
	return slices.Insert(facts, 0, because(first, schemas.Event{Type: schemas.Delivered, SMTPReply: "250 2.0.0 queued"}))
}

// because returns f with what happened, and why, of e.
func because(f dialect.Fact, e schemas.Event) dialect.Fact {
	f.Event.Type, f.Event.BounceType, f.Event.Reason, f.Event.SMTPReply = e.Type, e.BounceType, e.Reason, e.SMTPReply
	return f
}

func sortedNames[K ~string, V any](m map[K]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names
}
