package resend

// field is a documented field of data with a meaning for the event.
type field int

const (
	fieldEmailID field = iota
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
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Resend writes them.
var names = [fieldCount]string{
	"email_id", "to", "broadcast_id", "template_id", "tags", "headers", "bounce", "suppressed", "failed", "click",
	"id", "email", "audience_id", "unsubscribed", "created_at",
}

func fieldOf(key string) field {
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
	case "from", "subject", "message_id", "cc", "bcc", "attachments", "segment_ids", "updated_at",
		"first_name", "last_name", "name", "status", "region", "records", "origin", "source_id":
		return fieldRaw
	default:
		return fieldCount
	}
}
