package generic

import (
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// New returns the provider of the named source. Faults go to p with the names of
// the fields; then it returns nil.
func New(c Config, source string, p *config.Problems) *Provider {
	b := &builder{problems: p, source: source, sound: true}
	c = c.WithDefaults()
	v := &Provider{format: c.Format, field: c.Field, units: c.TimeUnit, ids: len(c.ID)}
	known := slices.Contains([]string{formatJSON, formatForm, formatQuery, formatCloudEvents}, v.format)
	b.check(known, "format", "%q is not one of json, form, query, cloudevents", c.Format)
	b.check(c.Field == "" || v.format == formatForm, "field", "is for format form only")
	b.check(c.Items == "" || v.format == formatJSON || c.Field != "", "items", "is for format json, or for form with field")
	b.modes(v, c)
	b.check(len(c.Origins) == 0 || v.format == formatCloudEvents, "origins", "is for format cloudevents only")
	if c.Items != "" {
		path, err := tokens(c.Items)
		b.check(err == nil, "items", "%v", err)
		v.items = new(node)
		v.items.want(path, slotType)
	}
	if v.format == formatCloudEvents {
		c = v.cloudEventPlaces(c)
	}
	b.check(len(c.Type) > 0, "type", "is missing: say where an item says what happened")
	b.units(v.units)
	b.places(v, c)
	b.targets(v, c)
	b.classes(v, c)
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

// modes reads which modes of CloudEvents are taken.
func (b *builder) modes(v *Provider, c Config) {
	b.check(len(c.Modes) == 0 || v.format == formatCloudEvents, "modes", "is for format cloudevents only")
	v.modes = c.Modes
	for _, mode := range c.Modes {
		b.check(slices.Contains([]string{modeStructured, modeBatch, modeBinary}, mode), "modes", "%q is not one of structured, batch, binary", mode)
	}
}

func (b *builder) units(units OneOrMore) {
	b.check(len(units) <= unitsMax, "time_unit", "%d of them, want at most %d", len(units), unitsMax)
	for _, unit := range units {
		b.check(knownUnit(unit), "time_unit", "%q is not one of rfc3339, datetime, s, ms, us, ns, nor a layout such as 02/01/2006 15:04:05", unit)
	}
}

// places reads where everything is.
func (b *builder) places(v *Provider, c Config) {
	for s, place := range [...]string{
		slotTime: c.Time, slotRecipient: c.Recipient, slotMessageID: c.MessageID, slotReason: c.Reason, slotClass: c.Class,
		slotSMTPCode: c.SMTPCode, slotEnhancedCode: c.EnhancedCode, slotURL: c.URL, slotIP: c.IP, slotUserAgent: c.UserAgent,
		slotCountry: c.Country, slotMachine: c.Machine, slotCampaign: c.Campaign, slotTags: c.Tags, slotListID: c.ListID,
		slotFeedbackSource: c.FeedbackSource, slotSendingIP: c.SendingIP,
		slotSubject: c.Subject, slotFromDomain: c.FromDomain, slotSendingDomain: c.SendingDomain, slotTemplate: c.Template, slotIPPool: c.IPPool,
	} {
		if place != "" {
			b.place(v, slot(s), slot(s).String(), place)
		}
	}
	b.list(v, slotType, c.Type, typePartsMax)
	b.list(v, slotID, c.ID, idPartsMax)
	v.typeParts = len(c.Type)
	v.metadata = slices.Sorted(maps.Keys(c.Metadata))
	b.check(len(v.metadata) <= metadataMax, "metadata", "%d names, want at most %d", len(v.metadata), metadataMax)
	for i, name := range v.metadata[:min(len(v.metadata), metadataMax)] {
		b.place(v, slotMetadata+slot(i), "metadata."+name, c.Metadata[name])
	}
}

// list reads several places for one thing.
func (b *builder) list(v *Provider, first slot, places OneOrMore, most int) {
	b.check(len(places) <= most, first.String(), "%d places, want at most %d", len(places), most)
	for i, place := range places[:min(len(places), most)] {
		field := first.String()
		if len(places) > 1 {
			field = fmt.Sprintf("%s[%d]", field, i)
		}
		b.place(v, first+slot(i), field, place)
	}
}

func (b *builder) place(v *Provider, s slot, field, place string) {
	if name, ok := strings.CutPrefix(place, "header:"); ok {
		b.check(name != "" && !strings.ContainsAny(name, " :"), field, "%q does not name a header", place)
		v.headers[s] = textproto.CanonicalMIMEHeaderKey(name)
		return
	}
	path, err := tokens(place)
	b.check(err == nil, field, "%v", err)
	if err == nil {
		v.wanted.want(path, s)
	}
}
