package elasticemail

// field is a documented field with a meaning for the event.
type field int

const (
	fieldStatus field = iota
	fieldTo
	fieldDate
	fieldMessageID
	fieldTransaction
	fieldCategory
	fieldChannel
	fieldTarget
	fieldPostback
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Elastic Email writes them.
var names = [fieldCount]string{
	"status", "to", "date", "messageid", "transaction", "category", "channel", "target", "postback",
}

func fieldOf(key string) field {
	for f, name := range names {
		if name == key {
			return field(f)
		}
	}
	switch key {
	case "from", "subject", "account":
		return fieldRaw
	default:
		return fieldCount
	}
}
