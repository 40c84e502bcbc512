package mailersend

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldID provider.FieldID = iota
	fieldTime
	fieldTags
	fieldHeaders
	fieldIP
	fieldURL
	fieldAgent
	fieldCountry
	fieldReason
	fieldCode
	fieldSubject
	fieldTemplate
	fieldFrom

	fieldCount
)

// fieldOf knows the fields of data, without the objects that it has.
func fieldOf(key string) provider.FieldID {
	switch key {
	case "id":
		return fieldID
	case "created_at":
		return fieldTime
	case "tags":
		return fieldTags
	case "subject":
		return fieldSubject
	case "template_id":
		return fieldTemplate
	case "object", "type", "domain_id", "email_id":
		return provider.InRaw
	default:
		return provider.NoField
	}
}

// detailOf knows the fields of morph and meta.
func detailOf(key string) provider.FieldID {
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
		return provider.InRaw
	default:
		return provider.NoField
	}
}
