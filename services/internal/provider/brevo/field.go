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
)

// names are the fields as Brevo writes them.
var names = provider.Names{
	fieldEvent:      "event",
	fieldEmail:      "email",
	fieldMessageID:  "message-id",
	fieldEpoch:      "ts_epoch",
	fieldEventTime:  "ts_event",
	fieldPosted:     "ts",
	fieldTags:       "tags",
	fieldTag:        "tag",
	fieldCustom:     "X-Mailin-custom",
	fieldSendingIP:  "sending_ip",
	fieldReason:     "reason",
	fieldLink:       "link",
	fieldURL:        "URL",
	fieldAgent:      "user_agent",
	fieldCampaignID: "camp_id",
	fieldCampaign:   "campaign name",
	fieldLists:      "list_id",
}

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
	case "id", "date", "subject", "template_id", "mirror_link", "contact_id", "sender_email", "device_used",
		"is_returnpath", "date_sent", "date_event", "ts_sent", "segment_ids", "key", "content":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
