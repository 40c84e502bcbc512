package postmark

// field is a documented field with a meaning for the event.
type field int

const (
	fieldRecordType field = iota
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
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Postmark writes them.
var names = [fieldCount]string{
	"RecordType", "MessageID", "MessageStream", "Tag", "Metadata", "Recipient", "Email", "DeliveredAt", "BouncedAt",
	"ReceivedAt", "ChangedAt", "ID", "Type", "Description", "Details", "Inactive", "OriginalLink", "UserAgent",
	"Geo", "SuppressSending", "SuppressionReason",
}

func fieldOf(key string) field {
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
func rareField(key string) field {
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
	case "ServerID", "ServerId", "TypeCode", "Name", "From", "Subject", "CanActivate", "DumpAvailable", "Content",
		"FirstOpen", "ReadSeconds", "Platform", "Client", "OS", "ClickLocation", "Origin":
		return fieldRaw
	default:
		return fieldCount
	}
}
