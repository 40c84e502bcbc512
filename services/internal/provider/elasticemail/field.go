package elasticemail

import "github.com/mailstream/mailstream/services/internal/provider"

// The documented fields with a meaning for the event.
const (
	fieldStatus provider.FieldID = iota
	fieldTo
	fieldDate
	fieldMessageID
	fieldTransaction
	fieldCategory
	fieldChannel
	fieldTarget
	fieldPostback
	fieldFrom
	fieldSubject

	fieldCount
)

// names are the fields as Elastic Email writes them.
var names = provider.Names{
	fieldStatus:      "status",
	fieldTo:          "to",
	fieldDate:        "date",
	fieldMessageID:   "messageid",
	fieldTransaction: "transaction",
	fieldCategory:    "category",
	fieldChannel:     "channel",
	fieldTarget:      "target",
	fieldPostback:    "postback",
	fieldFrom:        "from",
	fieldSubject:     "subject",
}

// fieldOf knows the fields, and what raw alone has.
func fieldOf(key string) provider.FieldID {
	switch key {
	case "account":
		return provider.InRaw
	default:
		return names.Find(key)
	}
}
