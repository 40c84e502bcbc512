package ses

// field is a documented field, with a meaning for the event, of the object that
// says what happened. Fields of the same meaning are one.
type field int

const (
	fieldTimestamp field = iota
	fieldRecipients
	fieldFeedback
	fieldBounceType
	fieldBounceSubtype
	fieldComplaintSubtype
	fieldComplaintType
	fieldAgent
	fieldResponse
	fieldReason
	fieldIP
	fieldLink
	fieldError
	fieldDelay
	fieldList
	fieldNewPreferences
	fieldOldPreferences
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as SES writes them.
var names = [fieldCount]string{
	"timestamp", "recipients", "feedbackId", "bounceType", "bounceSubType", "complaintSubType", "complaintFeedbackType",
	"userAgent", "smtpResponse", "reason", "ipAddress", "link", "errorMessage", "delayType", "contactList",
	"newTopicPreferences", "oldTopicPreferences",
}

func fieldOf(key string) field {
	switch key {
	case "timestamp":
		return fieldTimestamp
	case "bouncedRecipients", "complainedRecipients", "delayedRecipients", "recipients":
		return fieldRecipients
	case "feedbackId":
		return fieldFeedback
	case "bounceType":
		return fieldBounceType
	case "bounceSubType":
		return fieldBounceSubtype
	case "complaintSubType":
		return fieldComplaintSubtype
	case "complaintFeedbackType":
		return fieldComplaintType
	case "userAgent":
		return fieldAgent
	case "smtpResponse":
		return fieldResponse
	case "reason":
		return fieldReason
	case "ipAddress":
		return fieldIP
	case "link":
		return fieldLink
	case "errorMessage":
		return fieldError
	case "delayType":
		return fieldDelay
	case "contactList":
		return fieldList
	case "newTopicPreferences":
		return fieldNewPreferences
	case "oldTopicPreferences":
		return fieldOldPreferences
	case "reportingMTA", "remoteMtaIp", "processingTimeMillis", "arrivalDate", "linkTags", "templateName", "expirationTime", "source":
		return fieldRaw
	default:
		return fieldCount
	}
}
