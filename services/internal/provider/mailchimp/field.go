package mailchimp

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldType provider.FieldID = iota
	fieldTime
	fieldID
	fieldListID
	fieldEmail
	fieldNewID
	fieldNewEmail
	fieldOldEmail
	fieldCampaign
	fieldAction
	fieldReason
	fieldStatus
	fieldOptIP
	fieldSignupIP
	fieldSubject

	fieldCount
)

// names are the fields as Mailchimp writes them.
var names = provider.Names{
	fieldType:     "type",
	fieldTime:     "fired_at",
	fieldID:       "data[id]",
	fieldListID:   "data[list_id]",
	fieldEmail:    "data[email]",
	fieldNewID:    "data[new_id]",
	fieldNewEmail: "data[new_email]",
	fieldOldEmail: "data[old_email]",
	fieldCampaign: "data[campaign_id]",
	fieldAction:   "data[action]",
	fieldReason:   "data[reason]",
	fieldStatus:   "data[status]",
	fieldOptIP:    "data[ip_opt]",
	fieldSignupIP: "data[ip_signup]",
	fieldSubject:  "data[subject]",
}

// fieldOf knows the fields, and what raw alone has.
func fieldOf(key string) provider.FieldID {
	switch key {
	case "data[email_type]", "data[web_id]":
		return provider.InRaw
	default:
		return names.Find(key)
	}
}
