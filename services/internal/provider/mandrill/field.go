package mandrill

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields, of an event or of its msg, with a meaning for the event.
// Those up to fieldReject stand in the event.
const (
	fieldEvent provider.FieldID = iota
	fieldType
	fieldAction
	fieldTime
	fieldID
	fieldMessage
	fieldURL
	fieldIP
	fieldAgent
	fieldPlace
	fieldReject
	fieldMessageID
	fieldEmail
	fieldTags
	fieldMeta
	fieldTemplate
	fieldSubaccount
	fieldDiag
	fieldBounce
	fieldCode
	fieldTries
	fieldSent
	fieldSubject
	fieldSender

	fieldCount
)

func fieldOf(key string) provider.FieldID {
	switch key {
	case "event":
		return fieldEvent
	case "type":
		return fieldType
	case "action":
		return fieldAction
	case "ts":
		return fieldTime
	case "_id":
		return fieldID
	case "msg":
		return fieldMessage
	case "url":
		return fieldURL
	case "ip":
		return fieldIP
	case "user_agent":
		return fieldAgent
	case "location":
		return fieldPlace
	case "reject":
		return fieldReject
	case "user_agent_parsed":
		return provider.InRaw
	default:
		return provider.NoField
	}
}

func messageFieldOf(key string) provider.FieldID {
	switch key {
	case "_id":
		return fieldMessageID
	case "email":
		return fieldEmail
	case "tags":
		return fieldTags
	case "metadata":
		return fieldMeta
	case "template":
		return fieldTemplate
	case "subaccount":
		return fieldSubaccount
	case "diag":
		return fieldDiag
	case "bounce_description":
		return fieldBounce
	case "bgtools_code":
		return fieldCode
	case "smtp_events":
		return fieldTries
	case "reject":
		return fieldReject
	case "ts":
		return fieldSent
	case "subject":
		return fieldSubject
	case "sender":
		return fieldSender
	case "_version", "state", "opens", "clicks", "resends":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
