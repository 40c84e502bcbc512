package postal

// field is a documented field of a payload with a meaning for the event.
type field int

const (
	fieldMessage field = iota
	fieldOriginal
	fieldStatus
	fieldDetails
	fieldOutput
	fieldTimestamp
	fieldURL
	fieldIP
	fieldAgent
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Postal writes them.
var names = [fieldCount]string{
	"message", "original_message", "status", "details", "output", "timestamp", "url", "ip_address", "user_agent",
}

func fieldOf(key string) field {
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
		return fieldRaw
	default:
		return fieldCount
	}
}
