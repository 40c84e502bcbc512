package sendgrid

// field is a documented field with a meaning for the event.
type field int

const (
	fieldEvent field = iota
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
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as SendGrid writes them.
var names = [fieldCount]string{
	"event", "email", "timestamp", "sg_event_id", "sg_message_id", "smtp-id", "category", "asm_group_id",
	"marketing_campaign_id", "marketing_campaign_name", "singlesend_id", "singlesend_name", "newsletter",
	"ip", "response", "attempt", "reason", "status", "type", "bounce_classification",
	"useragent", "url", "url_offset", "sg_machine_open",
}

func fieldOf(key string) field {
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
func rareField(key string) field {
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
	case "tls", "pool", "send_at", "sg_content_type", "cert_err", "post_type", "sg_user_id",
		"marketing_campaign_version", "marketing_campaign_split_id", "template_id", "template_hash",
		"phase_id", "mc_stats", "mc_pod_id":
		return fieldRaw
	default:
		return fieldCount
	}
}
