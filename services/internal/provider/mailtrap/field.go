package mailtrap

// field is a documented field with a meaning for the event.
type field int

const (
	fieldEvent field = iota
	fieldMessageID
	fieldEmail
	fieldCategory
	fieldVariables
	fieldTimestamp
	fieldEventID
	fieldResponse
	fieldCode
	fieldClass
	fieldReason
	fieldIP
	fieldAgent
	fieldURL
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Mailtrap writes them.
var names = [fieldCount]string{
	"event", "message_id", "email", "category", "custom_variables", "timestamp", "event_id",
	"response", "response_code", "bounce_category", "reason", "ip", "user_agent", "url",
}

func fieldOf(key string) field {
	switch key {
	case "event":
		return fieldEvent
	case "message_id":
		return fieldMessageID
	case "email":
		return fieldEmail
	case "category":
		return fieldCategory
	case "custom_variables":
		return fieldVariables
	case "timestamp":
		return fieldTimestamp
	case "event_id":
		return fieldEventID
	case "response":
		return fieldResponse
	case "response_code":
		return fieldCode
	case "bounce_category":
		return fieldClass
	case "reason":
		return fieldReason
	case "ip":
		return fieldIP
	case "user_agent":
		return fieldAgent
	case "url":
		return fieldURL
	case "sending_stream", "sending_domain_name", // of mail
		"description", "actor", "resource", "changes", // of the audit log
		"inbox_id", "from": // of inbound mail
		return fieldRaw
	default:
		return fieldCount
	}
}
