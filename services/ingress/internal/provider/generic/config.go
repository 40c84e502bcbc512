package generic

import (
	"fmt"
	"maps"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Config says how the webhooks of one source are read. A place is a JSON pointer
// (RFC 6901) into the item, "/data/email", or "header:NAME".
type Config struct {
	// Format is json, form or cloudevents. Default json.
	Format string `yaml:"format,omitempty"`
	// Field is the field of a form that has JSON in it; empty takes the fields
	// themselves, "/email".
	Field string `yaml:"field,omitempty"`
	// Items points to the array of items in the body; empty takes the body itself,
	// an object or an array.
	Items string `yaml:"items,omitempty"`
	// Type is where the item says what happened. Needed, but for cloudevents.
	Type string `yaml:"type,omitempty"`
	// Types says what each word means: one of our types, bounced/hard,
	// bounced/soft, or webhook:NAME for what is no event of an email. Without
	// Types and Otherwise our own words are taken.
	Types map[string]string `yaml:"types,omitempty"`
	// Otherwise is what all other words mean. Default other, counted as drift.
	Otherwise string `yaml:"otherwise,omitempty"`
	// ID is where the sender's id of the event is, or several places that together
	// are unique. It must be the same when the event is sent again. Without one the
	// item's bytes tell it from others.
	ID Places `yaml:"id,omitempty"`
	// Time is where the time of the event is; TimeUnit is rfc3339, datetime
	// ("2006-01-02 15:04:05", UTC), s, ms, us or ns. Default rfc3339.
	Time     string `yaml:"time,omitempty"`
	TimeUnit string `yaml:"time_unit,omitempty"`
	// The places of what has a column. Reason is the remote server's or the
	// sender's words, from which the reason is read.
	Recipient string `yaml:"recipient,omitempty"`
	MessageID string `yaml:"message_id,omitempty"`
	Reason    string `yaml:"reason,omitempty"`
	URL       string `yaml:"url,omitempty"`
	IP        string `yaml:"ip,omitempty"`
	UserAgent string `yaml:"user_agent,omitempty"`
	Country   string `yaml:"country,omitempty"`
	Campaign  string `yaml:"campaign,omitempty"`
	ListID    string `yaml:"list_id,omitempty"`
	SendingIP string `yaml:"sending_ip,omitempty"`
	// Origins may send CloudEvents after asking with OPTIONS; "*" is everybody.
	Origins []string `yaml:"origins,omitempty"`
}

// Places is one place or a list of them.
type Places []string

// UnmarshalYAML takes one place or a list.
func (l *Places) UnmarshalYAML(text []byte) error {
	var list []string
	if err := yaml.Unmarshal(text, &list); err == nil {
		*l = list
		return nil
	}
	var one string
	if err := yaml.Unmarshal(text, &one); err != nil {
		return fmt.Errorf("want a place or a list of places")
	}
	*l = Places{one}
	return nil
}

// The formats.
const (
	formatJSON        = "json"
	formatForm        = "form"
	formatCloudEvents = "cloudevents"
)

const (
	typesMax      = 1000 // words of one source
	webhooksMax   = 64   // topics of one source: each has as many partitions as all others
	topicBytesMax = 249  // Kafka's own bound on a topic name
)

// webhookPrefix starts the value in Types of what is no event of an email.
const webhookPrefix = "webhook:"

var webhookName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// target is what a word means.
type target struct {
	kind   schemas.Type
	bounce schemas.BounceType
	person bool // it happened to a message or a recipient
}

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

// New returns the provider of the named source. Faults go to p with the names of
// the fields; then it returns nil.
func New(c Config, source string, p *config.Problems) *Provider {
	b := &builder{problems: p, source: source, sound: true}
	v := &Provider{format: c.Format, field: c.Field, timeUnit: c.TimeUnit, ids: len(c.ID)}
	if v.format == "" {
		v.format = formatJSON
	}
	if v.timeUnit == "" {
		v.timeUnit = unitRFC3339
	}
	known := v.format == formatJSON || v.format == formatForm || v.format == formatCloudEvents
	b.check(known, "format", "%q is none of json, form, cloudevents", c.Format)
	b.check(c.Field == "" || v.format == formatForm, "field", "is of forms only")
	b.check(c.Items == "" || v.format == formatJSON || c.Field != "", "items", "is of JSON only")
	b.check(len(c.Origins) == 0 || v.format == formatCloudEvents, "origins", "is of cloudevents only")
	b.check(knownUnit(v.timeUnit), "time_unit", "%q is none of rfc3339, datetime, s, ms, us, ns", c.TimeUnit)
	b.check(len(c.ID) <= idPartsMax, "id", "%d places are more than %d", len(c.ID), idPartsMax)
	if c.Items != "" {
		path, err := tokens(c.Items)
		b.check(err == nil, "items", "%v", err)
		v.items = new(node)
		v.items.want(path, slotType)
	}
	if v.format == formatCloudEvents {
		c = v.cloudEventPlaces(c)
	}
	b.check(c.Type != "", "type", "is missing: where does an item say what happened?")
	b.places(v, c)
	b.targets(v, c)
	if !b.sound {
		return nil
	}
	return v
}

// builder collects faults.
type builder struct {
	problems *config.Problems
	source   string
	sound    bool
}

func (b *builder) check(ok bool, field, format string, args ...any) {
	b.problems.Check(ok, field, format, args...)
	b.sound = b.sound && ok
}

// String returns the name of the slot in the configuration.
func (s slot) String() string {
	names := [...]string{"type", "time", "recipient", "message_id", "reason", "url", "ip", "user_agent", "country", "campaign", "list_id", "sending_ip"}
	if int(s) < len(names) {
		return names[s]
	}
	return "id"
}

// places reads where everything is.
func (b *builder) places(v *Provider, c Config) {
	for s, place := range []string{
		slotType: c.Type, slotTime: c.Time, slotRecipient: c.Recipient, slotMessageID: c.MessageID, slotReason: c.Reason, slotURL: c.URL,
		slotIP: c.IP, slotUserAgent: c.UserAgent, slotCountry: c.Country, slotCampaign: c.Campaign, slotListID: c.ListID, slotSendingIP: c.SendingIP,
	} {
		if place != "" {
			b.place(v, slot(s), slot(s).String(), place)
		}
	}
	for i, place := range c.ID[:min(len(c.ID), idPartsMax)] {
		b.place(v, slotID+slot(i), fmt.Sprintf("id[%d]", i), place)
	}
}

func (b *builder) place(v *Provider, s slot, field, place string) {
	if name, ok := strings.CutPrefix(place, "header:"); ok {
		b.check(name != "" && !strings.ContainsAny(name, " :"), field, "%q names no header", place)
		v.headers[s] = textproto.CanonicalMIMEHeaderKey(name)
		return
	}
	path, err := tokens(place)
	b.check(err == nil, field, "%v", err)
	if err == nil {
		v.wanted.want(path, s)
	}
}

// targets reads what the words mean.
func (b *builder) targets(v *Provider, c Config) {
	b.check(len(c.Types) <= typesMax, "types", "%d words are more than %d", len(c.Types), typesMax)
	b.check(len(c.Webhooks()) <= webhooksMax, "types", "%d names behind webhook: are more than %d", len(c.Webhooks()), webhooksMax)
	v.types = make(map[string]target, len(c.Types))
	for _, word := range slices.Sorted(maps.Keys(c.Types)) {
		t, err := b.target(c.Types[word])
		b.check(err == nil, "types."+word, "%v", err)
		v.types[word] = t
	}
	if len(c.Types) == 0 && c.Otherwise == "" {
		for _, t := range schemas.Types() {
			v.types[string(t)] = target{kind: t, person: t != schemas.Other}
		}
	}
	v.otherwise, v.strict = target{kind: schemas.Other}, c.Otherwise == ""
	if c.Otherwise != "" {
		t, err := b.target(c.Otherwise)
		b.check(err == nil, "otherwise", "%v", err)
		v.otherwise = t
	}
}

func (b *builder) target(text string) (target, error) {
	if name, ok := strings.CutPrefix(text, webhookPrefix); ok {
		if !webhookName.MatchString(name) {
			return target{}, fmt.Errorf("%q: a name is 1 to 64 of a-z, 0-9, '-', '_'", text)
		}
		t := TypeOf(b.source, name)
		if len(t) > topicBytesMax/2 { // leaves room for a prefix
			return target{}, fmt.Errorf("%q makes a topic of %d bytes: more than %d", text, len(t), topicBytesMax/2)
		}
		return target{kind: t}, nil
	}
	word, bounce, split := strings.Cut(text, "/")
	t := schemas.Type(word)
	ok := slices.Contains(schemas.Types(), t)
	if split {
		ok = t == schemas.Bounced && (bounce == string(schemas.Hard) || bounce == string(schemas.Soft))
	}
	if !ok {
		return target{}, fmt.Errorf("%q is none of %q, bounced/hard, bounced/soft, webhook:NAME", text, schemas.Types())
	}
	return target{kind: t, bounce: schemas.BounceType(bounce), person: t != schemas.Other}, nil
}
