package mailtrap

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldEvent provider.FieldID = iota
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
	fieldDomain

	fieldCount
)

func fieldOf(key string) provider.FieldID {
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
	case "sending_domain_name":
		return fieldDomain
	case "sending_stream", // of mail
		"description", "actor", "resource", "changes", // of the audit log
		"inbox_id", "from": // of inbound mail
		return provider.InRaw
	default:
		return provider.NoField
	}
}
