package brevo

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldEvent provider.FieldID = iota
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
	fieldSubject
	fieldTemplate
	fieldSender

	fieldCount
)

func fieldOf(key string) provider.FieldID {
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
	case "subject":
		return fieldSubject
	case "template_id":
		return fieldTemplate
	case "sender_email":
		return fieldSender
	case "id", "date", "mirror_link", "contact_id", "device_used",
		"is_returnpath", "date_sent", "date_event", "ts_sent", "segment_ids", "key", "content":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
