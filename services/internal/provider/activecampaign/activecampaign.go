// Package activecampaign reads the webhooks of ActiveCampaign: one form a
// request, about a contact and the campaign that reached it, or about deals,
// accounts and lists, which are kept as other.
//
// ActiveCampaign has ids neither for events nor for mails: an event is known by
// all that it says of contact, campaign and link. It sends nothing twice when we
// fail, so what it posts while we are away is lost.
package activecampaign

import (
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "activecampaign"

// automation is used as the type where the post of an automation has none.
const automation = "automation"

// listsMax bounds the events of one form, each of which carries the whole form.
const listsMax = 100

// Provider reads ActiveCampaign's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// ReadsForms says that a body of JSON is another sender's.
func (Provider) ReadsForms() bool { return true }

// Answers says that ActiveCampaign repeats nothing, so that no answer saves an
// event, and that a 410 would end the webhook, which is never said.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes a form with type and date_time, or that of an automation. Who
// leaves several lists at once makes one event for each.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	raw, m, err := out.FieldsIn(req.Body, req.Limits)
	if err != nil {
		return err
	}
	e := entry{Fields: out.Fields(fieldCount)}
	it := out.Add(raw)
	e.read(m, it)
	if !e.known() {
		return &provider.FormError{What: "a form without type and contact"}
	}
	lists := e.lists
	switch {
	case len(lists) == 0:
		lists = []string{""}
	case len(lists) > 1 && !isOfLists(e.Text(fieldType)):
		lists = lists[:1]
	case len(lists) > listsMax:
		it.Reject(provider.TooLarge)
		return nil
	}
	e.decode(it, lists[0])
	for _, list := range lists[1:] {
		more := out.Add(raw)
		e.read(m, more)
		e.decode(more, list)
	}
	return nil
}

// isOfLists says that an event happens to each of its lists.
func isOfLists(event string) bool { return event == "subscribe" || event == "unsubscribe" }

// entry is one form taken apart.
type entry struct {
	provider.Fields
	lists []string // those that the event is about, each once
	quiet bool     // what is unknown was noted before
}

// known says that the form is one of ActiveCampaign at all.
func (e *entry) known() bool {
	for _, f := range [...]provider.FieldID{fieldType, fieldTime, fieldContactID, fieldEmail} {
		if e.Has(f) {
			return true
		}
	}
	return false
}

// custom is how the custom fields of a contact are named.
const custom = "contact[fields]["

func (e *entry) read(m jsontext.Members, it *provider.Item) {
	e.ReadOr(m, names.Find, func(key string, v jsontext.Value) {
		switch {
		case strings.HasPrefix(key, custom):
			it.SetMetadata(strings.TrimSuffix(key[len(custom):], "]"), provider.Plain(v))
		case isList(key):
			e.addLists(v)
		case !isOther(key) && !e.quiet:
			e.Out.DriftAt(provider.UnknownField, v)
		}
	})
	e.quiet = true
}

// isList knows list, list[id], list[][id], list[0][id], and the id alone as list[]
// and list[0].
func isList(key string) bool {
	index, ok := strings.CutPrefix(key, "list[")
	return key == "list" || ok && (strings.HasSuffix(key, "[id]") || strings.Trim(index, "0123456789") == "]")
}

// addLists notes one list, or the array of lists under one name.
func (e *entry) addLists(v jsontext.Value) {
	if v.Kind() == jsontext.Array {
		for element := v.Elements(); element.Next(); {
			e.addLists(element.Value())
		}
		return
	}
	id := provider.Number(provider.Plain(v))
	if id == "" {
		return
	}
	if !slices.Contains(e.lists, id) {
		e.lists = append(e.lists, id)
	}
}

// eventTime also reads a zone without a colon, which is not ruled out by the documentation.
func eventTime(v jsontext.Value) (time.Time, string) {
	t, stamp := provider.Time(v)
	if t.IsZero() {
		if other, err := time.Parse("2006-01-02T15:04:05-0700", stamp); err == nil {
			t = other.UTC()
		}
	}
	return t, stamp
}

// decode fills in it for one list, "" for none.
func (e *entry) decode(it *provider.Item, list string) {
	ev := &it.Event
	ev.ProviderEvent = e.Text(fieldType)
	if ev.ProviderEvent == "" && e.Text(fieldSeries) != "" {
		ev.ProviderEvent = automation
	}
	ev.Recipient = e.Text(fieldEmail)
	contact := provider.Number(e.Text(fieldContactID))
	switch {
	case ev.ProviderEvent == "":
		it.Reject(provider.NoType)
		return
	case ev.Recipient == "" && contact == "" && !isAccount(ev.ProviderEvent):
		it.Reject(provider.NoIdentity)
		return
	}
	it.ReadTime(e.Value(fieldTime), eventTime)
	for tag := range strings.SplitSeq(e.Text(fieldTags), ",") {
		it.AddTag(strings.TrimSpace(tag))
	}
	ev.Subject = e.Text(fieldSubject)
	campaign := provider.Number(e.Text(fieldCampaignID))
	if ev.Campaign = e.Text(fieldCampaignName); ev.Campaign == "" {
		ev.Campaign = campaign
	}
	ev.ListID = list
	it.Distinguish(contact)  // two contacts without an address
	it.Distinguish(campaign) // two campaigns are opened in one second
	e.byType(it)
}

// isAccount says that an event is about the account and no contact.
func isAccount(event string) bool {
	switch event {
	case "sent", "list_add":
		return true
	}
	return strings.HasPrefix(event, "deal_") || strings.HasPrefix(event, "account_") || strings.HasPrefix(event, "sms_")
}

// byType fills in what depends on the kind of event.
func (e *entry) byType(it *provider.Item) {
	ev := &it.Event
	switch ev.ProviderEvent {
	case "open":
		ev.Type = schemas.Opened
		ev.UserAgent = e.Text(fieldAgent)
		it.Distinguish(e.Text(fieldMessageID)) // two mails of one campaign
		it.Distinguish(ev.UserAgent)           // by a person and a scanner in one second
	case "click":
		ev.Type = schemas.Clicked
		ev.URL = e.Text(fieldURL)
		it.Distinguish(e.Text(fieldMessageID))
		it.Distinguish(e.Text(fieldLinkID)) // two links in one second, also to one address
		it.Distinguish(ev.URL)
	case "bounce":
		e.bounce(it)
	case "unsubscribe":
		ev.Type = schemas.Unsubscribed
		it.Distinguish(ev.ListID) // leaves two lists in one second
	case "subscribe":
		ev.Type = schemas.Subscribed
		it.Distinguish(ev.ListID) // joins two lists in one second
	default:
		ev.Type = schemas.Other
		if !isOtherEvent(ev.ProviderEvent) {
			e.Out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		}
		it.Distinguish(string(ev.Raw)) // two notes, tags or tasks in one second
	}
}

// isOtherEvent knows the documented events that Mailstream has no word for.
func isOtherEvent(event string) bool {
	switch event {
	case "update", "reply", "forward", "share", "subscriber_note", "contact_tag_added", "contact_tag_removed",
		"contact_task_add", automation, "sent", "list_add", "sms_sent", "sms_reply", "sms_unsub",
		"deal_add", "deal_update", "deal_note_add", "deal_pipeline_add", "deal_stage_add",
		"deal_task_add", "deal_task_complete", "deal_tasktype_add",
		"account_add", "account_update", "account_contact_add", "account_contact_update":
		return true
	}
	return false
}

// bounce takes the codes out of bounce[code], whose form is not documented: alone
// or with text around them. Where bounce[type] is missing they say how severe it
// is.
func (e *entry) bounce(it *provider.Item) {
	ev := &it.Event
	ev.Type = schemas.Bounced
	kind, code := strings.ToLower(e.Text(fieldBounceType)), e.Text(fieldBounceCode)
	ev.SMTPReply = e.Text(fieldDescription)
	ev.SMTPCode, ev.EnhancedCode = classify.Codes(code)
	it.Failure.Class = kind
	if kind != "hard" && kind != "soft" {
		switch {
		case strings.HasPrefix(code, "5"), strings.HasPrefix(ev.EnhancedCode, "5"):
			it.Failure.Class = "hard"
		case strings.HasPrefix(code, "4"), strings.HasPrefix(ev.EnhancedCode, "4"):
			it.Failure.Class = "soft"
		}
	}
	switch it.Failure.Class {
	case "hard":
		ev.BounceType = schemas.Hard
	case "soft":
		ev.BounceType = schemas.Soft
		it.Failure.Soft = true
	}
	it.Distinguish(kind)
	it.Distinguish(code) // bounces in two ways in one second
}

// Enclose makes the form of one item of its bytes.
func (Provider) Enclose(req *provider.Request, _ provider.Envelope) {
	req.Body = provider.Form(req.Body, req.Limits)
}
