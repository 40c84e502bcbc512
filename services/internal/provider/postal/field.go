package postal

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields of a payload with a meaning for the event.
const (
	fieldMessage provider.FieldID = iota
	fieldOriginal
	fieldStatus
	fieldDetails
	fieldOutput
	fieldTimestamp
	fieldURL
	fieldIP
	fieldAgent

	fieldCount
)

func fieldOf(key string) provider.FieldID {
	switch key {
	case "message":
		return fieldMessage
	case "original_message":
		return fieldOriginal
	case "status":
		return fieldStatus
	case "details":
		return fieldDetails
	case "output":
		return fieldOutput
	case "timestamp":
		return fieldTimestamp
	case "url":
		return fieldURL
	case "ip_address":
		return fieldIP
	case "user_agent":
		return fieldAgent
	case "time", "sent_with_ssl", "bounce", "token", // of a message
		"server", "domain", "uuid", "dns_checked_at", "volume", "limit", // of the installation
		"spf_status", "spf_error", "dkim_status", "dkim_error", "mx_status", "mx_error",
		"return_path_status", "return_path_error":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
