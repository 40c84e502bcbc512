package activecampaign

import (
	"strings"

	"github.com/mailstream/mailstream/services/internal/provider"
)

// The documented fields with a meaning for the event.
const (
	fieldType provider.FieldID = iota
	fieldTime
	fieldContactID
	fieldEmail
	fieldTags
	fieldCampaignID
	fieldCampaignName
	fieldMessageID
	fieldLinkID
	fieldURL
	fieldAgent
	fieldBounceType
	fieldBounceCode
	fieldDescription
	fieldSeries
	fieldSubject

	fieldCount
)

// names are the fields as ActiveCampaign writes them.
var names = provider.Names{
	fieldType:         "type",
	fieldTime:         "date_time",
	fieldContactID:    "contact[id]",
	fieldEmail:        "contact[email]",
	fieldTags:         "contact[tags]",
	fieldCampaignID:   "campaign[id]",
	fieldCampaignName: "campaign[name]",
	fieldMessageID:    "campaign[message][id]",
	fieldLinkID:       "link[id]",
	fieldURL:          "link[url]",
	fieldAgent:        "User-Agent",
	fieldBounceType:   "bounce[type]",
	fieldBounceCode:   "bounce[code]",
	fieldDescription:  "bounce[description]",
	fieldSeries:       "seriesid",
	fieldSubject:      "campaign[message][subject]",
}

// isOther knows the documented fields that raw alone has: single ones, and blocks
// whose parts differ between accounts.
func isOther(key string) bool {
	block, _, _ := strings.Cut(key, "[")
	switch block {
	case "initiated_from", "initiated_by", "customer_acct_name", "customer_acct_id", "orgname", "account_id",
		"note", "tag", "result", "message",
		"form", "list", "unsubscribe", "active_subscriptions", "task", "forward", "share", "sms",
		"deal", "updated_fields", "pipeline", "stage", "tasktype", "account", "accountContact":
		return true
	}
	switch key {
	case "contact[first_name]", "contact[last_name]", "contact[phone]", "contact[orgname]", "contact[ip]",
		"contact[ip4]", "contact[customer_acct_name]",
		"campaign[status]", "campaign[type]", "campaign[recipients]", "campaign[webcopy_url]":
		return true
	}
	return false
}
