package ses

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields, with a meaning for the event, of the object that says
// what happened. Fields of the same meaning are one.
const (
	fieldTimestamp provider.FieldID = iota
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
	fieldRecipients
	fieldTemplate

	fieldCount
)

// fieldOf knows all but the recipients, whose key depends on what happened.
func fieldOf(key string) provider.FieldID {
	switch key {
	case "timestamp":
		return fieldTimestamp
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
	case "templateName":
		return fieldTemplate
	case "reportingMTA", "remoteMtaIp", "processingTimeMillis", "arrivalDate", "linkTags", "expirationTime", "source":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
