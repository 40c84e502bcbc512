package mailchimp

// field is a documented field with a meaning for the event.
type field int

const (
	fieldType field = iota
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
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Mailchimp writes them.
var names = [fieldCount]string{
	"type", "fired_at", "data[id]", "data[list_id]", "data[email]", "data[new_id]", "data[new_email]", "data[old_email]",
	"data[campaign_id]", "data[action]", "data[reason]", "data[status]", "data[ip_opt]", "data[ip_signup]",
}

func fieldOf(key string) field {
	for f, name := range names {
		if name == key {
			return field(f)
		}
	}
	switch key {
	case "data[email_type]", "data[web_id]", "data[subject]":
		return fieldRaw
	default:
		return fieldCount
	}
}
