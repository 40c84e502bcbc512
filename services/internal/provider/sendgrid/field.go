package sendgrid

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldEvent provider.FieldID = iota
	fieldEmail
	fieldTimestamp
	fieldEventID
	fieldMessageID
	fieldSMTPID
	fieldCategory
	fieldGroup
	fieldCampaignID
	fieldCampaignName
	fieldSendID
	fieldSendName
	fieldNewsletter
	fieldIP
	fieldResponse
	fieldAttempt
	fieldReason
	fieldStatus
	fieldType
	fieldClass
	fieldAgent
	fieldURL
	fieldOffset
	fieldMachine
	fieldTemplate
	fieldPool

	fieldCount
)

func fieldOf(key string) provider.FieldID {
	switch key {
	case "event":
		return fieldEvent
	case "email":
		return fieldEmail
	case "timestamp":
		return fieldTimestamp
	case "sg_event_id":
		return fieldEventID
	case "sg_message_id":
		return fieldMessageID
	case "smtp-id":
		return fieldSMTPID
	case "category":
		return fieldCategory
	case "asm_group_id":
		return fieldGroup
	case "ip":
		return fieldIP
	case "response":
		return fieldResponse
	case "attempt":
		return fieldAttempt
	case "reason":
		return fieldReason
	case "status":
		return fieldStatus
	case "type":
		return fieldType
	case "bounce_classification":
		return fieldClass
	case "useragent":
		return fieldAgent
	case "url":
		return fieldURL
	case "url_offset":
		return fieldOffset
	case "sg_machine_open":
		return fieldMachine
	default:
		return rareField(key)
	}
}

// rareField knows what few events have.
func rareField(key string) provider.FieldID {
	switch key {
	case "marketing_campaign_id":
		return fieldCampaignID
	case "marketing_campaign_name":
		return fieldCampaignName
	case "singlesend_id":
		return fieldSendID
	case "singlesend_name":
		return fieldSendName
	case "newsletter":
		return fieldNewsletter
	case "template_id":
		return fieldTemplate
	case "pool":
		return fieldPool
	case "tls", "send_at", "sg_content_type", "cert_err", "post_type", "sg_user_id",
		"marketing_campaign_version", "marketing_campaign_split_id", "template_hash",
		"phase_id", "mc_stats", "mc_pod_id":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
