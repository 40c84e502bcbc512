package generic

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/schemas"
)

// Config says how the webhooks of one source are read. A place is a JSON pointer
// (RFC 6901) into the item, "/data/email", or "header:NAME".
type Config struct {
	// Format is json, form, query or cloudevents. Default json. query takes the
	// parameters of the URL, by GET and POST.
	Format string `yaml:"format,omitempty"`
	// Field is the field of a form that has JSON in it; empty takes the fields
	// themselves, "/email". Default "".
	Field string `yaml:"field,omitempty"`
	// Items points to the array of items in the body; empty takes the body itself,
	// an object or an array. Default "".
	Items string `yaml:"items,omitempty"`
	// Type is where the item says what happened. Required, but for cloudevents. The
	// words of several places are joined, "Error/NoMailbox"; where that is not in
	// Types, the words of the first places count.
	Type OneOrMore `yaml:"type,omitempty"`
	// Types says what each word means, in any case: one of our types, bounced/hard,
	// bounced/soft, or webhook:NAME for what is not an event of an email. Without
	// Types and Otherwise our own words are taken. At most 1,000. Default none.
	Types map[string]string `yaml:"types,omitempty"`
	// Otherwise is what all other words mean. Default "": other, counted as drift.
	Otherwise string `yaml:"otherwise,omitempty"`
	// ID is where the sender's id of the event is, or several places that together
	// are unique. It must be the same when the event is resent. Without one the
	// item is identified by its bytes. Default none.
	ID OneOrMore `yaml:"id,omitempty"`
	// Time is where the time of the event is. Default none: the time of receipt.
	Time string `yaml:"time,omitempty"`
	// TimeUnit is rfc3339, datetime ("2006-01-02 15:04:05", UTC), s, ms, us, ns, or
	// a layout of Go's package time. Of several the first that fits is taken, at
	// most 8. Default [rfc3339].
	TimeUnit OneOrMore `yaml:"time_unit,omitempty"`
	// Class is where the sender's own class of a failure is. Default none.
	Class string `yaml:"class,omitempty"`
	// Classes says which of our reasons each word of Class means, in any case.
	// Without it our own reasons are taken. At most 1,000. Default none.
	Classes map[string]schemas.Reason `yaml:"classes,omitempty"`
	// Recipient is where the address is. Default none.
	Recipient string `yaml:"recipient,omitempty"`
	// MessageID is where the message's id is. Default none.
	MessageID string `yaml:"message_id,omitempty"`
	// Reason is where the remote server's or the sender's words are, from which the reason
	// is read where Class does not say it. Default none.
	Reason string `yaml:"reason,omitempty"`
	// SMTPCode is where the basic code is (RFC 5321). Default none.
	SMTPCode string `yaml:"smtp_code,omitempty"`
	// EnhancedCode is where the enhanced code is (RFC 3463). Default none.
	EnhancedCode string `yaml:"enhanced_code,omitempty"`
	// URL is where the clicked URL is. Default none.
	URL string `yaml:"url,omitempty"`
	// IP is where the address of who opened or clicked is. Default none.
	IP string `yaml:"ip,omitempty"`
	// UserAgent is where the agent of who opened or clicked is. Default none.
	UserAgent string `yaml:"user_agent,omitempty"`
	// Country is where the country of who opened or clicked is. Default none.
	Country string `yaml:"country,omitempty"`
	// Machine is where it says that a machine opened or clicked. Default none.
	Machine string `yaml:"machine,omitempty"`
	// Campaign is where the campaign is. Default none.
	Campaign string `yaml:"campaign,omitempty"`
	// Tags is where the tags are. Default none.
	Tags string `yaml:"tags,omitempty"`
	// ListID is where the list is. Default none.
	ListID string `yaml:"list_id,omitempty"`
	// FeedbackSource is where it says who reported a complaint. Default none.
	FeedbackSource string `yaml:"feedback_source,omitempty"`
	// SendingIP is where the address that sent the mail is. Default none.
	SendingIP string `yaml:"sending_ip,omitempty"`
	// Subject is where the subject of the message is. Default none.
	Subject string `yaml:"subject,omitempty"`
	// FromDomain is where the sender is, an address or a domain (From of RFC 5322). Default none.
	FromDomain string `yaml:"from_domain,omitempty"`
	// SendingDomain is where the domain of the DKIM signature or the envelope sender is. Default none.
	SendingDomain string `yaml:"sending_domain,omitempty"`
	// Template is where the template is. Default none.
	Template string `yaml:"template,omitempty"`
	// IPPool is where the name of the pool of sending addresses is. Default none.
	IPPool string `yaml:"ip_pool,omitempty"`
	// Metadata maps a name in the event's metadata to the place of its value.
	// Default none.
	Metadata map[string]string `yaml:"metadata,omitempty"`
	// Modes are those of CloudEvents that are taken: structured, batch, binary. In
	// binary mode the attributes are in headers, which a signature over the body does
	// not cover. Default none: all of them.
	Modes []string `yaml:"modes,omitempty"`
	// Origins may send CloudEvents after asking with OPTIONS; "*" is everybody.
	// Default none.
	Origins []string `yaml:"origins,omitempty"`
}

// OneOrMore is one text or a list of them.
type OneOrMore []string

// The formats.
const (
	formatJSON        = "json"
	formatForm        = "form"
	formatQuery       = "query"
	formatCloudEvents = "cloudevents"
)

const (
	wordsMax      = 1000 // in types and in classes, each
	unitsMax      = 8    // of time, each tried in turn
	webhooksMax   = 64   // topics of one source: each has as many partitions as all others
	topicBytesMax = 249  // Kafka's own bound on a topic name
)

// webhookPrefix starts the value in Types of what is not an event of an email.
const webhookPrefix = "webhook:"

var webhookName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// TypeOf returns the type of a source's own events called name. It is also their
// topic, behind the prefix.
func TypeOf(source, name string) schemas.Type {
	return schemas.Type("webhook." + source + "." + name)
}

// Webhooks returns the names behind webhook: in c, sorted.
func (c Config) Webhooks() []string {
	names := map[string]bool{}
	for word := range maps.Values(c.Types) {
		if name, ok := strings.CutPrefix(word, webhookPrefix); ok {
			names[name] = true
		}
	}
	if name, ok := strings.CutPrefix(c.Otherwise, webhookPrefix); ok {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// WithDefaults returns c with what is left out filled in.
func (c Config) WithDefaults() Config {
	c.Format = cmp.Or(c.Format, formatJSON)
	if len(c.TimeUnit) == 0 {
		c.TimeUnit = OneOrMore{unitRFC3339}
	}
	return c
}
