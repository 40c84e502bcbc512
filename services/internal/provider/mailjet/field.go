package mailjet

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldEvent provider.FieldID = iota
	fieldTime
	fieldMessageID
	fieldOldMessageID
	fieldGUID
	fieldEmail
	fieldCampaignID
	fieldContactID
	fieldCampaign
	fieldCustomID
	fieldPayload
	fieldReply
	fieldIP
	fieldGeo
	fieldAgent
	fieldURL
	fieldBlocked
	fieldHardBounce
	fieldRelatedTo
	fieldError
	fieldComment
	fieldSource
	fieldListID

	fieldCount
)

func fieldOf(key string) provider.FieldID {
	switch key {
	case "event":
		return fieldEvent
	case "time":
		return fieldTime
	case "MessageID":
		return fieldMessageID
	case "mj_message_id": // the same as text, deprecated
		return fieldOldMessageID
	case "Message_GUID": // the Send API's UUID; raw has it
		return fieldGUID
	case "email":
		return fieldEmail
	case "mj_campaign_id":
		return fieldCampaignID
	case "mj_contact_id": // Mailjet's own number of the address; raw has it
		return fieldContactID
	case "customcampaign":
		return fieldCampaign
	case "CustomID":
		return fieldCustomID
	case "Payload":
		return fieldPayload
	case "smtp_reply":
		return fieldReply
	case "ip":
		return fieldIP
	case "geo":
		return fieldGeo
	case "agent":
		return fieldAgent
	case "url":
		return fieldURL
	case "blocked": // Mailjet will not retry the address; raw has it
		return fieldBlocked
	case "hard_bounce":
		return fieldHardBounce
	case "error_related_to":
		return fieldRelatedTo
	case "error":
		return fieldError
	case "comment":
		return fieldComment
	case "source":
		return fieldSource
	case "mj_list_id":
		return fieldListID
	default:
		return provider.NoField
	}
}
