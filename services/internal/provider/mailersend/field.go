package mailersend

// field is a documented field with a meaning for the event.
type field int

const (
	fieldID field = iota
	fieldTime
	fieldEmail
	fieldRecipient
	fieldMessageID
	fieldTags
	fieldHeaders
	fieldMorph
	fieldMeta
	fieldIP
	fieldURL
	fieldAgent
	fieldCountry
	fieldReason
	fieldCode
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as MailerSend writes them.
var names = [fieldCount]string{
	"id", "created_at", "email", "recipient", "message_id", "tags", "headers", "morph", "meta",
	"ip", "url", "user_agent", "country", "reason", "bounce_code",
}

// fieldOf knows the fields of data.
func fieldOf(key string) field {
	switch key {
	case "id":
		return fieldID
	case "created_at":
		return fieldTime
	case "email":
		return fieldEmail
	case "recipient":
		return fieldRecipient
	case "message_id":
		return fieldMessageID
	case "tags":
		return fieldTags
	case "morph":
		return fieldMorph
	case "meta":
		return fieldMeta
	case "object", "type", "template_id", "domain_id", "email_id", "subject":
		return fieldRaw
	default:
		return fieldCount
	}
}

// detailOf knows the fields of morph and meta.
func detailOf(key string) field {
	switch key {
	case "ip":
		return fieldIP
	case "url":
		return fieldURL
	case "user_agent":
		return fieldAgent
	case "country":
		return fieldCountry
	case "reason", "bounce_reason":
		return fieldReason
	case "bounce_code":
		return fieldCode
	case "object", "id", "created_at", "readable_reason", "unsubscribe_reason", "bounce_type", "device_type", "browser":
		return fieldRaw
	default:
		return fieldCount
	}
}
