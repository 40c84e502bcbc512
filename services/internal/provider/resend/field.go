package resend

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields of data with a meaning for the event.
const (
	fieldEmailID provider.FieldID = iota
	fieldTo
	fieldBroadcast
	fieldTemplate
	fieldTags
	fieldHeaders
	fieldBounce
	fieldSuppressed
	fieldFailed
	fieldClick
	fieldID
	fieldEmail
	fieldAudience
	fieldUnsubscribed
	fieldCreated
	fieldFrom
	fieldSubject

	fieldCount
)

func fieldOf(key string) provider.FieldID {
	switch key {
	case "email_id":
		return fieldEmailID
	case "to":
		return fieldTo
	case "broadcast_id":
		return fieldBroadcast
	case "template_id":
		return fieldTemplate
	case "tags":
		return fieldTags
	case "headers":
		return fieldHeaders
	case "bounce":
		return fieldBounce
	case "suppressed":
		return fieldSuppressed
	case "failed":
		return fieldFailed
	case "click":
		return fieldClick
	case "id":
		return fieldID
	case "email":
		return fieldEmail
	case "audience_id":
		return fieldAudience
	case "unsubscribed":
		return fieldUnsubscribed
	case "created_at":
		return fieldCreated
	case "from":
		return fieldFrom
	case "subject":
		return fieldSubject
	case "message_id", "cc", "bcc", "attachments", "segment_ids", "updated_at",
		"first_name", "last_name", "name", "status", "region", "records", "origin", "source_id":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
