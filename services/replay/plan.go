package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/reparse"
)

// Verdict is what is compared of an event.
type Verdict struct {
	Type       schemas.Type       `json:"type"`
	Reason     schemas.Reason     `json:"reason,omitempty"`
	Cause      schemas.Cause      `json:"cause,omitempty"`
	BounceType schemas.BounceType `json:"bounce_type,omitempty"`
	Confidence schemas.Confidence `json:"confidence,omitempty"`
	Blocklist  string             `json:"blocklist,omitempty"`
	Permanent  *bool              `json:"permanent,omitempty"`
	Machine    *bool              `json:"machine,omitempty"`
}

// verdict is a Verdict that can be the key of a map: 0 unknown, 1 false, 2 true. Of a
// blocklist it has the name alone: subject and page are of one event each, and would
// make a kind of change of every one.
type verdict struct {
	typ                schemas.Type
	reason             schemas.Reason
	cause              schemas.Cause
	bounce             schemas.BounceType
	confidence         schemas.Confidence
	blocklist          string
	permanent, machine int8
}

func tri(b *bool) int8 {
	switch {
	case b == nil:
		return 0
	case *b:
		return 2
	default:
		return 1
	}
}

func untri(n int8) *bool {
	if n == 0 {
		return nil
	}
	b := n == 2
	return &b
}

func verdictOf(e *schemas.Event) verdict {
	return verdict{e.Type, e.Reason, e.Cause, e.BounceType, e.Confidence, e.Blocklist, tri(e.Permanent), tri(e.Machine)}
}

func (v verdict) shown() Verdict {
	return Verdict{
		Type: v.typ, Reason: v.reason, Cause: v.cause, BounceType: v.bounce, Confidence: v.confidence, Blocklist: v.blocklist,
		Permanent: untri(v.permanent), Machine: untri(v.machine),
	}
}

// Change is a kind of change, with how many events have it.
type Change struct {
	Was    Verdict  `json:"was"`
	Is     Verdict  `json:"is"`
	Events int64    `json:"events"`
	IDs    []string `json:"ids"` // of some of them, as they are stored
}

// Plan says what a replay would do.
type Plan struct {
	Classifier string                  `json:"classifier"`
	Ranges     []Range                 `json:"ranges"`     // where the events are read from
	Events     int64                   `json:"events"`     // stored; a repeat that a topic has counts, too
	Same       int64                   `json:"same"`       // of these, as today
	Changed    int64                   `json:"changed"`    // of another verdict today
	Failed     int64                   `json:"failed"`     // cannot be made anew, and are left as they are
	Unstored   int64                   `json:"unstored"`   // records of the topics that analytics has not stored yet, and that are left for the next run
	Faults     map[reparse.Fault]int64 `json:"faults"`     // Failed by why
	Changes    []Change                `json:"changes"`    // the most frequent first
	MoreKinds  int64                   `json:"more_kinds"` // events of kinds of change beyond those listed

	Doubts

	kinds map[[2]verdict]*Change
}

func newPlan(classifier string) *Plan {
	return &Plan{Classifier: classifier, Faults: map[reparse.Fault]int64{}, Changes: []Change{}, kinds: map[[2]verdict]*Change{}}
}

func (p *Plan) count(pairs []pair) {
	for i := range pairs {
		one := &pairs[i]
		p.Events++
		was, is := verdictOf(one.was), verdictOf(&one.is)
		switch {
		case one.fault != "":
			p.Failed++
			p.Faults[one.fault]++
		case was == is:
			p.Same++
		default:
			p.Changed++
			p.note(was, is, one.was.ID)
		}
	}
}

func (p *Plan) note(was, is verdict, id string) {
	c := p.kinds[[2]verdict{was, is}]
	if c == nil {
		if len(p.kinds) == changesMax {
			p.MoreKinds++
			return
		}
		c = &Change{Was: was.shown(), Is: is.shown()}
		p.kinds[[2]verdict{was, is}] = c
	}
	c.Events++
	if len(c.IDs) < samplesMax {
		c.IDs = append(c.IDs, id)
	}
}

func (p *Plan) finish() {
	for _, c := range p.kinds {
		p.Changes = append(p.Changes, *c)
	}
	slices.SortFunc(p.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.IDs[0], b.IDs[0]))
	})
}

// Scan makes every event anew and says what came of it. progress, when not nil, is
// called after each page.
func (r *Replay) Scan(ctx context.Context, progress func(done int64)) (*Plan, error) {
	p := newPlan(r.deps.Maker.Classifier())
	p.Ranges = r.Ranges()
	err := r.pages(ctx, "", Position{}, func(ctx context.Context, pairs []pair, _ Position) error {
		p.count(pairs)
		found, err := r.listed(ctx, pairs)
		if err != nil {
			return err
		}
		p.add(found)
		if progress != nil {
			progress(p.Events)
		}
		return nil
	})
	p.Unstored = r.unstored
	p.finish()
	return p, err
}

// String is the verdict in a few words.
func (v Verdict) String() string {
	words := []string{string(v.Type)}
	for _, word := range []string{string(v.Reason), string(v.Cause), string(v.BounceType)} {
		if word != "" {
			words = append(words, word)
		}
	}
	if v.Blocklist != "" {
		words = append(words, "blocklist="+v.Blocklist)
	}
	if v.Confidence != "" {
		words = append(words, "confidence="+string(v.Confidence))
	}
	if v.Permanent != nil {
		words = append(words, fmt.Sprintf("permanent=%t", *v.Permanent))
	}
	if v.Machine != nil {
		words = append(words, fmt.Sprintf("machine=%t", *v.Machine))
	}
	return strings.Join(words, " ")
}
