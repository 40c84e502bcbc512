package sparkpost

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldType provider.FieldID = iota
	fieldEventID
	fieldTimestamp
	fieldTransmission
	fieldMessageID
	fieldRawRecipient
	fieldRecipient
	fieldCampaign
	fieldTemplate
	fieldSendingIP
	fieldTags
	fieldMeta
	fieldIP
	fieldAgent
	fieldURL
	fieldPlace
	fieldReport
	fieldReporter
	fieldRawReason
	fieldReason
	fieldCode
	fieldClass
	fieldInjection
	fieldSubject
	fieldFrom
	fieldEnvelope
	fieldPool
)

// names are the fields as SparkPost writes them.
var names = provider.Names{
	fieldType:         "type",
	fieldEventID:      "event_id",
	fieldTimestamp:    "timestamp",
	fieldTransmission: "transmission_id",
	fieldMessageID:    "message_id",
	fieldRawRecipient: "raw_rcpt_to",
	fieldRecipient:    "rcpt_to",
	fieldCampaign:     "campaign_id",
	fieldTemplate:     "template_id",
	fieldSendingIP:    "sending_ip",
	fieldTags:         "rcpt_tags",
	fieldMeta:         "rcpt_meta",
	fieldIP:           "ip_address",
	fieldAgent:        "user_agent",
	fieldURL:          "target_link_url",
	fieldPlace:        "geo_ip",
	fieldReport:       "fbtype",
	fieldReporter:     "report_by",
	fieldRawReason:    "raw_reason",
	fieldReason:       "reason",
	fieldCode:         "error_code",
	fieldClass:        "bounce_class",
	fieldInjection:    "injection_time",
	fieldSubject:      "subject",
	fieldFrom:         "friendly_from",
	fieldEnvelope:     "msg_from",
	fieldPool:         "ip_pool",
}

func fieldOf(key string) provider.FieldID {
	switch key {
	case "type":
		return fieldType
	case "event_id":
		return fieldEventID
	case "timestamp":
		return fieldTimestamp
	case "transmission_id":
		return fieldTransmission
	case "message_id":
		return fieldMessageID
	case "raw_rcpt_to":
		return fieldRawRecipient
	case "rcpt_to":
		return fieldRecipient
	case "campaign_id":
		return fieldCampaign
	case "template_id":
		return fieldTemplate
	case "sending_ip":
		return fieldSendingIP
	case "rcpt_tags":
		return fieldTags
	case "rcpt_meta":
		return fieldMeta
	case "ip_address": // the reader's, or the remote server's
		return fieldIP
	case "user_agent":
		return fieldAgent
	case "target_link_url":
		return fieldURL
	case "geo_ip":
		return fieldPlace
	case "fbtype":
		return fieldReport
	case "report_by":
		return fieldReporter
	case "raw_reason":
		return fieldRawReason
	case "reason":
		return fieldReason
	case "error_code":
		return fieldCode
	case "bounce_class":
		return fieldClass
	case "injection_time":
		return fieldInjection
	case "subject":
		return fieldSubject
	case "friendly_from":
		return fieldFrom
	case "msg_from":
		return fieldEnvelope
	case "ip_pool":
		return fieldPool
	default:
		return otherField(key)
	}
}

// otherField knows what raw has.
func otherField(key string) provider.FieldID {
	switch key {
	case "customer_id", "subaccount_id", "template_version", "rcpt_hash",
		"rcpt_type", "recipient_domain", "routing_domain", "scheduled_time", "msg_size",
		"transactional", "recv_method", "open_tracking", "click_tracking", "initial_pixel", "amp_enabled",
		"ab_test_id", "ab_test_version", "mailbox_provider", "mailbox_provider_region", "delv_method", "num_retries",
		"queue_time", "outbound_tls", "device_token", "remote_addr", "report_to", "user_str", "target_link_name",
		"rcpt_subs", "mailfrom", "relay_id", "origination", "ab_test", "batch_id", "number_succeeded",
		"number_duplicates", "number_failed", "error_type", "retryable", "href", "expiration_timestamp",
		"sms_src", "sms_dst", "sms_text", "sms_remoteids", "stat_type", "stat_state", "dr_latency":
		return provider.InRaw
	default:
		return provider.NoField
	}
}
