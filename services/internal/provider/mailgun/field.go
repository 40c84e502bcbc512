package mailgun

// field is a documented field of event-data with a meaning for the event.
type field int

const (
	fieldEvent field = iota
	fieldID
	fieldTimestamp
	fieldRecipient
	fieldTags
	fieldCampaigns
	fieldVariables
	fieldMessage
	fieldEnvelope
	fieldStatus
	fieldSeverity
	fieldReason
	fieldIP
	fieldPlace
	fieldClient
	fieldURL
	fieldList
	fieldReject
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Mailgun writes them.
var names = [fieldCount]string{
	"event", "id", "timestamp", "recipient", "tags", "campaigns", "user-variables", "message", "envelope",
	"delivery-status", "severity", "reason", "ip", "geolocation", "client-info", "url", "mailing-list", "reject",
}

func fieldOf(key string) field {
	switch key {
	case "event":
		return fieldEvent
	case "id":
		return fieldID
	case "timestamp":
		return fieldTimestamp
	case "recipient":
		return fieldRecipient
	case "tags":
		return fieldTags
	case "campaigns":
		return fieldCampaigns
	case "user-variables":
		return fieldVariables
	case "message":
		return fieldMessage
	case "envelope":
		return fieldEnvelope
	case "delivery-status":
		return fieldStatus
	case "severity":
		return fieldSeverity
	case "reason":
		return fieldReason
	case "ip":
		return fieldIP
	case "geolocation":
		return fieldPlace
	case "client-info":
		return fieldClient
	case "url":
		return fieldURL
	case "mailing-list":
		return fieldList
	case "reject":
		return fieldReject
	case "log-level", "account", "domain", "recipient-domain", "recipient-provider", "flags", "storage",
		"api-key-id", "method", "originating-ip", "routes":
		return fieldRaw
	default:
		return fieldCount
	}
}
