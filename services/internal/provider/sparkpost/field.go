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

	fieldCount
)

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
