package activecampaign

import "strings"

// field is a documented field with a meaning for the event.
type field int

const (
	fieldType field = iota
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
	fieldCount // how many there are; and what is none of them
)

// names are the fields as ActiveCampaign writes them.
var names = [fieldCount]string{
	"type", "date_time", "contact[id]", "contact[email]", "contact[tags]", "campaign[id]", "campaign[name]",
	"campaign[message][id]", "link[id]", "link[url]", "User-Agent", "bounce[type]", "bounce[code]",
	"bounce[description]", "seriesid",
}

func fieldOf(key string) field {
	for f, name := range names {
		if name == key {
			return field(f)
		}
	}
	return fieldCount
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
		"campaign[status]", "campaign[type]", "campaign[recipients]", "campaign[message][subject]", "campaign[webcopy_url]":
		return true
	}
	return false
}
