package mailgun

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields of event-data with a meaning for the event.
const (
	fieldEvent provider.FieldID = iota
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

	fieldCount
)

func fieldOf(key string) provider.FieldID {
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
		return provider.InRaw
	default:
		return provider.NoField
	}
}
