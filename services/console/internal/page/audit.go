package page

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

// auditData is who looked at people and who changed what.
type auditData struct {
	Now     time.Time                     `json:"now"`
	Range   string                        `json:"range"`
	Action  string                        `json:"action,omitempty"`
	Object  string                        `json:"object,omitempty"`
	Entries twin.List[history.AuditEntry] `json:"entries"`
	Cut     bool                          `json:"cut"`
	Ranges  []string                      `json:"-"`
	Actions []string                      `json:"-"` // to choose from
	Known   bool                          `json:"-"` // ClickHouse answered
}

var (
	actionForm = regexp.MustCompile(`^[a-z_]{1,64}\.[a-z_]{1,64}$`)
	// objectForm lets in a hash and the name of an incident: no address can be in the
	// address of the page.
	objectForm = regexp.MustCompile(`^[0-9a-zA-Z-]{1,64}$`)
)

// usualActions are what people do most; others come with their entries.
func usualActions() []string {
	return []string{"person.view", "message.view", "suppression.add", "suppression.lift", "suppression.list", "incident.ack", "silence.add", "dead_letters.redrive", "dead_letters.discard"}
}

func (s *Site) audit(v *visit) (view, error) {
	q, err := v.only("range", "action", "object")
	if err != nil {
		return view{}, err
	}
	d := auditData{Now: s.Now().UTC(), Action: q.Get("action"), Object: q.Get("object"), Ranges: rangeNames(), Actions: usualActions()}
	if d.Range, err = oneOf(q, "range", "7d", d.Ranges); err != nil {
		return view{}, err
	}
	switch {
	case d.Action != "" && !actionForm.MatchString(d.Action):
		return view{}, badInput("This is not the name of an action.", "One is such as person.view; choose one of the form.")
	case d.Object != "" && !objectForm.MatchString(d.Object):
		return view{}, badInput("This is neither a recipient hash nor the name of an incident.", "Come from the page of a person or an incident; an address does not belong here.")
	}
	entries, cut, err := s.History.Audit(v.Context(), history.Last(rangeSteps()[d.Range][0], d.Now, time.Hour), d.Action, d.Object)
	d.Known, d.Cut = !s.notice(v, partClickHouse, err), cut
	d.Entries = append(d.Entries, entries...)
	for i := range d.Entries {
		d.Actions = append(d.Actions, d.Entries[i].Action)
	}
	if d.Action != "" {
		d.Actions = append(d.Actions, d.Action)
	}
	slices.Sort(d.Actions)
	d.Actions = slices.Compact(d.Actions)
	return view{name: "audit", title: "Audit", data: d}, nil
}

// Leads is where the object of an entry has a page, "" where it has none.
func (d auditData) Leads(object string) string {
	switch {
	case hashForm.MatchString(object):
		return "/people/" + object
	case strings.HasPrefix(object, "inc-") && objectForm.MatchString(object):
		return "/incidents/" + object
	}
	return ""
}
