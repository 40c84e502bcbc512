package mandrill

// field is a documented field, of an event or of its msg, with a meaning for the
// event.
type field int

const (
	fieldEvent field = iota
	fieldType
	fieldAction
	fieldTime
	fieldID
	fieldMessage
	fieldURL
	fieldIP
	fieldAgent
	fieldPlace
	fieldReject
	fieldMessageID
	fieldEmail
	fieldTags
	fieldMeta
	fieldTemplate
	fieldSubaccount
	fieldDiag
	fieldBounce
	fieldCode
	fieldTries
	fieldSent
	fieldCount // how many there are; and what is none of them
	fieldRaw   // documented, and raw has it
)

// names are the fields as Mandrill writes them.
var names = [fieldCount]string{
	"event", "type", "action", "ts", "_id", "msg", "url", "ip", "user_agent", "location", "reject",
	"msg._id", "email", "tags", "metadata", "template", "subaccount", "diag", "bounce_description", "bgtools_code",
	"smtp_events", "msg.ts",
}

func fieldOf(key string) field {
	switch key {
	case "event":
		return fieldEvent
	case "type":
		return fieldType
	case "action":
		return fieldAction
	case "ts":
		return fieldTime
	case "_id":
		return fieldID
	case "msg":
		return fieldMessage
	case "url":
		return fieldURL
	case "ip":
		return fieldIP
	case "user_agent":
		return fieldAgent
	case "location":
		return fieldPlace
	case "reject":
		return fieldReject
	case "user_agent_parsed":
		return fieldRaw
	default:
		return fieldCount
	}
}

func messageFieldOf(key string) field {
	switch key {
	case "_id":
		return fieldMessageID
	case "email":
		return fieldEmail
	case "tags":
		return fieldTags
	case "metadata":
		return fieldMeta
	case "template":
		return fieldTemplate
	case "subaccount":
		return fieldSubaccount
	case "diag":
		return fieldDiag
	case "bounce_description":
		return fieldBounce
	case "bgtools_code":
		return fieldCode
	case "smtp_events":
		return fieldTries
	case "reject":
		return fieldReject
	case "ts":
		return fieldSent
	case "_version", "subject", "sender", "state", "opens", "clicks", "resends":
		return fieldRaw
	default:
		return fieldCount
	}
}
