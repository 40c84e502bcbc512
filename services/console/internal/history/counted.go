package history

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// Trait is what a timeline does not have of an event, and rules count by.
type Trait struct {
	ID     string   `ch:"event_id"`
	Tags   []string `ch:"tags"`
	Stream string   `ch:"stream"` // of its metadata
}

// Traits fills the tags and the stream of events, at most EventsMax of them.
func (r *Reader) Traits(ctx context.Context, events []*Event) error {
	if len(events) == 0 {
		return nil
	}
	var sources, types, ids []string
	var hours []time.Time
	for _, e := range events {
		sources, types, ids = append(sources, e.Source), append(types, e.Type), append(ids, e.ID)
		hours = append(hours, e.Time.Truncate(time.Hour))
	}
	var rows []Trait
	err := r.ask(ctx, "traits", &rows, clickhouse.Arg("sources", clickhouse.Words(distinct(sources, strings.Compare))), clickhouse.Arg("types", clickhouse.Words(distinct(types, strings.Compare))),
		clickhouse.Arg("hours", hourList(distinct(hours, time.Time.Compare))), clickhouse.Arg("ids", clickhouse.Words(ids)))
	for _, e := range events {
		if i := slices.IndexFunc(rows, func(t Trait) bool { return t.ID == e.ID }); i >= 0 {
			e.Trait = &rows[i]
		}
	}
	return err
}

func distinct[T comparable](list []T, order func(T, T) int) []T {
	slices.SortFunc(list, order)
	return slices.Compact(list)
}

// During says whether an event is of the time of the incident: from the window before its
// beginning to its end. One that was received more than a window late is in no window, and
// only an incident that was found afterwards has it.
func (i Incident) During(e *Event) bool {
	window, err := time.ParseDuration(i.Window)
	if err != nil || !i.Late && e.ReceivedAt.Sub(e.Time) > window {
		return false
	}
	return e.Time.After(i.Since.Add(-window)) && (i.ResolvedAt == nil || !e.Time.After(*i.ResolvedAt))
}

// Tagged says whether the incident is about a tag, which a timeline alone does not tell.
func (i Incident) Tagged() bool { return i.Labels["tag"] != "" }

// About says whether the labels of the incident are those of an event, whose message is
// given: what the event does not say, others of its message say, as alerting has it. Of
// these only those count that counts takes, within a window of the event.
func (i Incident) About(e *Event, message []*Event, counts func(*Event) bool) bool {
	window, err := time.ParseDuration(i.Window)
	if err != nil || len(i.Labels) == 0 {
		return false
	}
	for label, value := range i.Labels {
		is := e.says(label, value)
		for n := 0; is == unsaid && n < len(message); n++ {
			if other := message[n]; other.Time.Sub(e.Time).Abs() < window && counts(other) {
				is = other.says(label, value)
			}
		}
		if is != same {
			return false
		}
	}
	return true
}

// Messages returns the events of the message of each event. One without the id of a
// message is alone.
func Messages(events []Event) map[*Event][]*Event {
	type key struct{ source, message, person string }
	all, of := map[key][]*Event{}, map[*Event][]*Event{}
	name := func(e *Event) key { return key{e.Source, e.MessageID, e.RecipientHash} }
	for i := range events {
		all[name(&events[i])] = append(all[name(&events[i])], &events[i])
	}
	for i := range events {
		if e := &events[i]; e.MessageID == "" {
			of[e] = []*Event{e}
		} else {
			of[e] = all[name(e)]
		}
	}
	return of
}

// verdict is what an event says of a label.
type verdict uint8

const (
	unsaid verdict = iota
	same
	another
)

func (e *Event) says(label, value string) verdict {
	var is string
	switch label {
	case "all": // the mail of all sources; a value other than all is about no mail
		is = "all"
	case "tag":
		switch {
		case e.Trait == nil || len(e.Trait.Tags) == 0:
			return unsaid
		case slices.Contains(e.Trait.Tags, value):
			return same
		}
		return another
	default:
		is = e.dimension(label)
	}
	switch is {
	case "":
		return unsaid
	case value:
		return same
	}
	return another
}

// dimension is a value that rules count by, "" for one that no event has.
func (e *Event) dimension(name string) string {
	switch name {
	case "source":
		return e.Source
	case "recipient_domain":
		return e.RecipientDomain
	case "mailbox_provider":
		return e.MailboxProvider
	case "campaign":
		return e.Campaign
	case "sending_ip":
		return e.SendingIP
	case "sending_domain":
		return e.SendingDomain
	case "ip_pool":
		return e.IPPool
	}
	return ""
}
