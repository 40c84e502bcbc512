package brevo

// field is a documented field with a meaning for the event.
type field int

const (
	fieldEvent field = iota
	fieldEmail
	fieldMessageID
	fieldEpoch
	fieldEventTime
	fieldPosted
	fieldTags
	fieldTag
	fieldCustom
	fieldSendingIP
	fieldReason
	fieldLink
	fieldURL
	fieldAgent
	fieldCampaignID
	fieldCampaign
	fieldLists
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Brevo writes them.
var names = [fieldCount]string{
	"event", "email", "message-id", "ts_epoch", "ts_event", "ts", "tags", "tag", "X-Mailin-custom", "sending_ip",
	"reason", "link", "URL", "user_agent", "camp_id", "campaign name", "list_id",
}

func fieldOf(key string) field {
	switch key {
	case "event":
		return fieldEvent
	case "email":
		return fieldEmail
	case "message-id":
		return fieldMessageID
	case "ts_epoch", "s_epoch": // the second in a sample of the documentation
		return fieldEpoch
	case "ts_event":
		return fieldEventTime
	case "ts":
		return fieldPosted
	case "tags":
		return fieldTags
	case "tag":
		return fieldTag
	case "X-Mailin-custom":
		return fieldCustom
	case "sending_ip":
		return fieldSendingIP
	case "reason":
		return fieldReason
	case "link":
		return fieldLink
	case "URL", "url":
		return fieldURL
	case "user_agent":
		return fieldAgent
	case "camp_id":
		return fieldCampaignID
	case "campaign name":
		return fieldCampaign
	case "list_id":
		return fieldLists
	case "id", "date", "subject", "template_id", "mirror_link", "contact_id", "sender_email", "device_used",
		"is_returnpath", "date_sent", "date_event", "ts_sent", "segment_ids", "key", "content":
		return fieldRaw
	default:
		return fieldCount
	}
}
