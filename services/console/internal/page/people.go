package page

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

// roleWhole is who sees whole addresses; others see enough to know one they typed.
const roleWhole = auth.Operator

// searchData is the form, and what a message id was found at.
type searchData struct {
	Found twin.List[foundMessage] `json:"found"`
}

type foundMessage struct {
	Source string `json:"source"`
	ID     string `json:"message_id"`
}

func (s *Site) searchForm(v *visit) (view, error) {
	if len(v.URL.Query()) > 0 {
		return view{}, badInput("The text of a search does not belong in the address: it would be in logs and histories.", "Type it into the form of this page.")
	}
	return view{name: "search", title: "Search", data: searchData{}}, nil
}

var hashForm = regexp.MustCompile(`^[0-9a-f]{32,64}$`)

// search finds a person by address or hash, or a message by its id. The answer leads
// to a page whose address holds no address of a person.
func (s *Site) search(v *visit) (view, error) {
	query := strings.TrimSpace(v.PostForm.Get("q"))
	if query == "" || len(query) > idBytesMax || strings.ContainsFunc(query, func(r rune) bool { return r < ' ' }) {
		return view{}, badInput("Nothing was searched: the field is empty, or longer than any address or message id.", "Type an address, such as ana@example.com, or the id of a message.").of("q")
	}
	hash, notAddress := query, error(nil)
	if !hashForm.MatchString(query) { // ids of messages look like a hash, too, such as those of Mandrill
		hash, notAddress = s.Hash(query)
	}
	events, _, err := s.History.Events(v.Context(), history.Selection{MessageID: query})
	if err != nil && notAddress != nil {
		return view{}, fault{Status: http.StatusServiceUnavailable, Title: "Messages cannot be searched now", Detail: "ClickHouse does not answer.", Next: "Try again in a minute, or search a person by address."}
	}
	var found []foundMessage
	for i := range events {
		if e := &events[i]; e.Personal {
			if e.RecipientHash == "" {
				continue
			}
			return view{goTo: "/people/" + e.RecipientHash}, nil
		}
		m := foundMessage{events[i].Source, events[i].MessageID}
		if !slices.ContainsFunc(found, func(f foundMessage) bool { return f.Source == m.Source }) {
			found = append(found, m)
		}
	}
	switch {
	case len(found) == 1:
		return view{goTo: messagePath(found[0].Source, found[0].ID)}, nil
	case len(found) > 1:
		return view{name: "search", title: "Search", data: searchData{found}}, nil
	case notAddress == nil:
		return view{goTo: "/people/" + hash}, nil
	}
	return view{}, badInput("This is not an address, and no message has that id.", "An address looks like ana@example.com. The id of a message is the one of the provider, which may differ from the Message-ID of the mail.").of("q")
}

// personData is all that is known of a person, or of one message.
type personData struct {
	Now          time.Time                      `json:"now"`
	Hash         string                         `json:"recipient_hash,omitempty"`
	Address      string                         `json:"address,omitempty"`
	Message      string                         `json:"message_id,omitempty"`
	Source       string                         `json:"source,omitempty"`
	Events       twin.List[history.Event]       `json:"events"`
	Cut          bool                           `json:"cut"`
	Suppressions twin.List[history.Suppression] `json:"suppressions"`
	CutIncidents bool                           `json:"incidents_cut,omitempty"`    // there are more in this time than were looked at
	Counted      map[string]string              `json:"-"`                          // what an incident is called
	CutList      bool                           `json:"suppressions_cut,omitempty"` // the list says more
	Typed        string                         `json:"-"`                          // the whole address, for the form of an operator
	Known        bool                           `json:"-"`                          // ClickHouse answered
}

// Active says whether something suppresses the person now.
func (d personData) Active() bool {
	return slices.ContainsFunc(d.Suppressions, func(e history.Suppression) bool { return e.Active })
}

// Own says whether an entry of the person holds, and Wide whether one of their domain or
// mailbox provider does.
func (d personData) Own() bool {
	return d.holds(func(e history.Suppression) bool { return e.Matched == "" })
}

// Wide is explained at Own.
func (d personData) Wide() bool {
	return d.holds(func(e history.Suppression) bool { return e.Matched != "" })
}

func (d personData) holds(of func(history.Suppression) bool) bool {
	return slices.ContainsFunc(d.Suppressions, func(e history.Suppression) bool { return e.Active && of(e) })
}

// CountedAny says whether an event counted in an incident.
func (d personData) CountedAny() bool {
	return slices.ContainsFunc(d.Events, func(e history.Event) bool { return len(e.IncidentsCounted) > 0 })
}

// Lifts are the forms for what holds: of the person, where the address is known, and of
// each pattern.
func (d personData) Lifts() []lift {
	c := checked{Address: d.Typed}
	for _, e := range d.Suppressions {
		if e.Active && (e.Matched != "" || d.Typed != "" && d.Message == "") {
			c.Entries = append(c.Entries, entry{Reason: e.Reason, Scope: e.Scope, Matched: e.Matched})
		}
	}
	return c.Lifts()
}

// Has says whether an event is on the page: what somebody wrote by hand has none.
func (d personData) Has(event string) bool {
	return slices.ContainsFunc(d.Events, func(e history.Event) bool { return e.ID == event })
}

func (s *Site) person(v *visit) (view, error) {
	if _, err := v.only(); err != nil {
		return view{}, err
	}
	hash := v.PathValue("hash")
	if !hashForm.MatchString(hash) {
		return view{}, notFound("This is not a recipient hash.")
	}
	if err := s.Trail.Note(v.Context(), Entry{By: v.user, Action: "person.view", Object: hash}); err != nil {
		return view{}, unnoted(err)
	}
	d := personData{Now: s.Now().UTC(), Hash: hash}
	return view{name: "person", title: "Person " + short(hash), data: s.story(v, d, history.Selection{Hash: hash})}, nil
}

func (s *Site) message(v *visit) (view, error) {
	if _, err := v.only(); err != nil {
		return view{}, err
	}
	d := personData{Now: s.Now().UTC(), Message: v.named("id"), Source: v.named("source")}
	if len(d.Message) > idBytesMax || len(d.Source) > nameBytesMax || !utf8.ValidString(d.Message+d.Source) {
		return view{}, notFound("This is not the id of a message.")
	}
	if err := s.Trail.Note(v.Context(), Entry{By: v.user, Action: "message.view", Object: Redact(d.Source + "/" + d.Message)}); err != nil {
		return view{}, unnoted(err)
	}
	d = s.story(v, d, history.Selection{MessageID: d.Message, Source: d.Source})
	if d.Known && len(d.Events) == 0 {
		return view{}, notFound("No event is of a message of that id and source.")
	}
	return view{name: "person", title: "Message", data: d}, nil
}

// story fills the timeline.
func (s *Site) story(v *visit, d personData, of history.Selection) personData {
	var (
		err, listErr, incidentsErr error
		incidents                  []history.Incident
	)
	d.Events, d.Cut, err = s.History.Events(v.Context(), of)
	d.Known = !s.notice(v, partClickHouse, err)
	if d.Hash == "" && len(d.Events) > 0 {
		d.Hash = d.Events[0].RecipientHash
	}
	parts := parallel{}
	if d.Hash != "" {
		wider := s.wider(d.Events)
		parts.add(func(ctx context.Context) {
			d.Suppressions, d.CutList, listErr = s.History.Suppressions(ctx, d.Hash, wider)
		})
	}
	if n := len(d.Events); n > 0 {
		span := history.Span{From: d.Events[n-1].Time, To: d.Events[0].Time.Add(storyAfter)}
		parts.add(func(ctx context.Context) {
			if incidents, d.CutIncidents, incidentsErr = s.incidentsOf(ctx, span); incidentsErr == nil {
				incidentsErr = s.countIn(ctx, d.Events, incidents)
			}
		})
	}
	parts.run(v.Context())
	d.Counted = namesOf(incidents)
	s.notice(v, partClickHouse, cmp.Or(listErr, incidentsErr))
	for i := range d.Events {
		e := &d.Events[i]
		if d.Address == "" {
			d.Address = e.Recipient
		}
		if !v.user.May(roleWhole) {
			hide(e)
		}
	}
	if v.user.May(roleWhole) {
		d.Typed = d.Address
	} else {
		d.Address = maskedOr(d.Address)
		for i := range d.Suppressions {
			d.Suppressions[i].Note, d.Suppressions[i].RemovedNote = Redact(d.Suppressions[i].Note), Redact(d.Suppressions[i].RemovedNote)
		}
	}
	return d
}

// namesOf says by its name what each incident is about.
func namesOf(incidents []history.Incident) map[string]string {
	names := make(map[string]string, len(incidents))
	for _, in := range incidents {
		names[in.ID] = in.Rule + ": " + labelWords(in.Labels)
	}
	return names
}

// wider are the hashes of the patterns of the list that hold for the person of events.
func (s *Site) wider(events []history.Event) (hashes []string) {
	if s.Wider == nil {
		return nil
	}
	for i := range events {
		if e := &events[i]; e.Recipient != "" {
			return s.Wider(e.Recipient, e.MailboxProvider)
		}
	}
	return nil
}

func maskedOr(address string) string {
	if address == "" {
		return ""
	}
	return masked(address)
}

// hide masks every address in an event.
func hide(e *history.Event) {
	e.Recipient = maskedOr(e.Recipient)
	for _, text := range []*string{&e.SMTPReply, &e.URL, &e.UserAgent, &e.Campaign, &e.Subject, &e.Template, &e.BlocklistURL} {
		*text = Redact(*text)
	}
	if e.Personal {
		e.MessageID = Redact(e.MessageID)
	}
}
