package postmark

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldRecordType provider.FieldID = iota
	fieldMessageID
	fieldStream
	fieldTag
	fieldMetadata
	fieldRecipient
	fieldEmail
	fieldDeliveredAt
	fieldBouncedAt
	fieldReceivedAt
	fieldChangedAt
	fieldID
	fieldType
	fieldDescription
	fieldDetails
	fieldInactive
	fieldLink
	fieldAgent
	fieldGeo
	fieldSuppress
	fieldSuppressionReason
	fieldFrom
	fieldSubject

	fieldCount
)

func fieldOf(key string) provider.FieldID {
	switch key {
	case "RecordType":
		return fieldRecordType
	case "MessageID", "MessageId": // the second in what Postmark's libraries write
		return fieldMessageID
	case "MessageStream":
		return fieldStream
	case "Tag":
		return fieldTag
	case "Metadata":
		return fieldMetadata
	case "Recipient":
		return fieldRecipient
	case "Email":
		return fieldEmail
	case "DeliveredAt":
		return fieldDeliveredAt
	case "BouncedAt":
		return fieldBouncedAt
	case "ReceivedAt":
		return fieldReceivedAt
	case "ChangedAt":
		return fieldChangedAt
	case "ID":
		return fieldID
	case "Type":
		return fieldType
	case "Description":
		return fieldDescription
	case "Details":
		return fieldDetails
	case "Inactive":
		return fieldInactive
	default:
		return rareField(key)
	}
}

// rareField knows what single kinds of events have.
func rareField(key string) provider.FieldID {
	switch key {
	case "OriginalLink":
		return fieldLink
	case "UserAgent":
		return fieldAgent
	case "Geo":
		return fieldGeo
	case "SuppressSending":
		return fieldSuppress
	case "SuppressionReason":
		return fieldSuppressionReason
	case "From":
		return fieldFrom
	case "Subject":
		return fieldSubject
	case "ServerID", "ServerId", "TypeCode", "Name", "CanActivate", "DumpAvailable", "Content",
		"FirstOpen", "ReadSeconds", "Platform", "Client", "OS", "ClickLocation", "Origin":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
