package ingress

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/ingress/internal/unsubscribe"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// Config is the section `ingress`.
type Config struct {
	httpserver.Config `yaml:",inline"`
	// Sources are the accounts whose webhooks are taken, at most 1,000.
	Sources []Source `yaml:"sources"`
	// AllowUnauthenticated permits sources with `auth: none`. Default false.
	AllowUnauthenticated bool `yaml:"allow_unauthenticated"`
	// TrustedProxies are the addresses and CIDR blocks of load balancers whose
	// X-Forwarded-For is believed. Default none.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// BodyBytesMax bounds one request after decompression. The largest documented
	// batches are 1,000 events of some KiB; SendGrid's are cut at 768 KB. Range
	// [64KiB, 16MiB]. Default 4MiB.
	BodyBytesMax config.ByteSize `yaml:"body_bytes_max"`
	// ItemsMax bounds the items of one request, ten times the largest documented
	// batch. Range [1, 100_000]. Default 10_000.
	ItemsMax int `yaml:"items_max"`
	// RequestsInFlightMax bounds the requests in progress; more are answered 503
	// with Retry-After. Range [1, 100_000]. Default 4_096.
	RequestsInFlightMax int `yaml:"requests_in_flight_max"`
	// BodyBytesInFlightMax bounds their bodies together, as received, unpacked and
	// indexed, so the memory of the process. Range [body_bytes_max, 64GiB]. Default
	// 64MiB.
	BodyBytesInFlightMax config.ByteSize `yaml:"body_bytes_in_flight_max"`
	// Unproven bounds what requests hold whose sender is not proven yet.
	Unproven Unproven `yaml:"unproven"`
	// BodyRateMin is how many bytes a second of a body have to arrive at least; what
	// stalls is ended. Range [1B, 1MiB]. Default 1KiB.
	BodyRateMin config.ByteSize `yaml:"body_rate_min"`
	// BodyRateWindow is over how long BodyRateMin is counted. TCP needs 3 s to
	// retransmit a segment that was lost twice. Range [1s, 1m]. Default 4s.
	BodyRateWindow time.Duration `yaml:"body_rate_window"`
	// RetryAfter is the Retry-After header of a 503, whole seconds. Range [1s,
	// 1h]. Default 5s.
	RetryAfter time.Duration `yaml:"retry_after"`
	// Unsubscribe is the one-click URL of List-Unsubscribe (RFC 8058).
	Unsubscribe unsubscribe.Config `yaml:"unsubscribe"`
	// Producer bounds what waits for Kafka. PublishTimeout has to stay below the
	// patience of the providers, 10 s and more; for those who wait for less,
	// mailersend and postal, the bound is four fifths of that.
	Producer produce.Config `yaml:"producer"`
}

// Unproven is what requests may hold that a header does not prove: those of sources
// that sign their bodies until the body is checked, and all those of `auth: none`.
// The rest of the room is for proven requests alone.
type Unproven struct {
	// Percent is their part of RequestsInFlightMax and BodyBytesInFlightMax. Range
	// [1, 90]. Default 50.
	Percent int `yaml:"percent"`
	// SourcePercent is the part of that for one source, where there are several.
	// Range [1, 100]. Default 50.
	SourcePercent int `yaml:"source_percent"`
	// PeerPercent is the part of that for one peer: an IPv4 address or an IPv6 /64,
	// behind TrustedProxies the client's. Range [1, 100]. Default 25.
	PeerPercent int `yaml:"peer_percent"`
	// StrangerRate is how many bytes a second bodies beyond 64 KiB may take at one
	// source, as received and unpacked, from peers that have proven no request of it
	// for a day: what is unpacked and checked for nothing takes the processor from
	// others. Range [64KiB, 1GiB]. Default 8MiB.
	StrangerRate config.ByteSize `yaml:"stranger_rate"`
}

// Source is one account at one provider.
type Source struct {
	// Name is the last part of the URL and the `source` of every event: a-z, 0-9,
	// '-', '_', '.', at most 64 bytes. Required.
	Name string `yaml:"name"`
	// Provider is who sends: generic, or another name of the table in
	// docs/providers/README.md. Required.
	Provider string `yaml:"provider"`
	// Auth is how requests are known to be genuine: `none`, or one or more schemes,
	// all of which must agree.
	Auth auth.Config `yaml:"auth"`
	// AllowFrom are the addresses and CIDR blocks requests may come from. Default
	// none: from all.
	AllowFrom []string `yaml:"allow_from"`
	// AllowSimulate takes the word of a request that it is of `mailstream simulate`:
	// its header `Mailstream-Origin: simulate` becomes the origin of its events. Where
	// it is false the header says nothing. Default false; true in the development
	// configuration.
	AllowSimulate bool `yaml:"allow_simulate,omitempty"`
	// Generic says how the requests of a source of the provider generic are read.
	Generic *generic.Config `yaml:"generic,omitempty"`
}

const (
	sourcesMax            = 1000 // each is a value of a metric label
	bodyBytesMaxLow       = 64 * config.KiB
	bodyBytesMaxHigh      = 16 * config.MiB
	bodyBytesInFlightHigh = 64 * config.GiB
	itemsMaxHigh          = 100_000
	requestsMaxHigh       = 100_000
	retryAfterHigh        = time.Hour

	unprovenPercentHigh = 90 // proven requests need some
	strangerRateLow     = 64 * config.KiB
	strangerRateHigh    = config.GiB
	bodyRateMinHigh     = config.MiB
	bodyRateWindowHigh  = time.Minute

	// deadLetterOverheadBytes is more than a dead letter has beside its bytes.
	deadLetterOverheadBytes = 16 * config.KiB
)

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// Default returns the settings of an empty section: no sources, so no webhook
// is accepted.
func Default() Config {
	return Config{
		Config:               httpserver.Default("127.0.0.1:8080"),
		BodyBytesMax:         4 * config.MiB,
		ItemsMax:             10_000,
		RequestsInFlightMax:  4096,
		BodyBytesInFlightMax: 64 * config.MiB,
		Unproven:             Unproven{Percent: 50, SourcePercent: 50, PeerPercent: 25, StrangerRate: 8 * config.MiB},
		BodyRateMin:          config.KiB,
		BodyRateWindow:       4 * time.Second,
		RetryAfter:           5 * time.Second,
		Unsubscribe:          unsubscribe.Default(),
		Producer:             produce.Default(),
	}
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	c.Config.Validate(p)
	p.Check(len(c.Sources) <= sourcesMax, "sources", "%d of them, want at most %d", len(c.Sources), sourcesMax)
	seen := make(map[string]bool, len(c.Sources))
	for i, s := range c.Sources {
		sp := p.At(fmt.Sprintf("sources[%d]", i))
		s.validate(sp, c.AllowUnauthenticated)
		sp.Check(!seen[s.Name], "name", "%q is listed twice", s.Name)
		seen[s.Name] = true
	}
	_, err := auth.ParsePrefixes(c.TrustedProxies)
	p.Check(err == nil, "trusted_proxies", "%v", err)
	p.Check(c.BodyBytesMax >= bodyBytesMaxLow && c.BodyBytesMax <= bodyBytesMaxHigh, "body_bytes_max",
		"%s is not in [%s, %s]", c.BodyBytesMax, bodyBytesMaxLow, bodyBytesMaxHigh)
	p.Check(c.ItemsMax >= 1 && c.ItemsMax <= itemsMaxHigh, "items_max", "%d is not in [1, %d]", c.ItemsMax, itemsMaxHigh)
	p.Check(c.RequestsInFlightMax >= 1 && c.RequestsInFlightMax <= requestsMaxHigh, "requests_in_flight_max",
		"%d is not in [1, %d]", c.RequestsInFlightMax, requestsMaxHigh)
	p.Check(c.BodyBytesInFlightMax >= c.BodyBytesMax && c.BodyBytesInFlightMax <= bodyBytesInFlightHigh, "body_bytes_in_flight_max",
		"%s is not in [body_bytes_max %s, %s]", c.BodyBytesInFlightMax, c.BodyBytesMax, bodyBytesInFlightHigh)
	c.Unproven.validate(p.At("unproven"))
	p.Check(c.BodyRateMin >= 1 && c.BodyRateMin <= bodyRateMinHigh, "body_rate_min", "%s is not in [1B, %s]", c.BodyRateMin, bodyRateMinHigh)
	p.Check(c.BodyRateWindow >= time.Second && c.BodyRateWindow <= bodyRateWindowHigh, "body_rate_window",
		"%s is not in [1s, %s]", c.BodyRateWindow, bodyRateWindowHigh)
	p.Check(c.RetryAfter >= time.Second && c.RetryAfter <= retryAfterHigh, "retry_after", "%s is not in [1s, %s]", c.RetryAfter, retryAfterHigh)
	c.Unsubscribe.Validate(p.At("unsubscribe"))
	checkSourceName(p.At("unsubscribe"), "source", c.Unsubscribe.Source)
	c.Producer.Validate(p.At("producer"))
}

func (u Unproven) validate(p *config.Problems) {
	for _, part := range []struct {
		name        string
		value, high int
	}{{"percent", u.Percent, unprovenPercentHigh}, {"source_percent", u.SourcePercent, 100}, {"peer_percent", u.PeerPercent, 100}} {
		p.Check(part.value >= 1 && part.value <= part.high, part.name, "%d is not in [1, %d]", part.value, part.high)
	}
	p.Check(u.StrangerRate >= strangerRateLow && u.StrangerRate <= strangerRateHigh, "stranger_rate",
		"%s is not in [%s, %s]", u.StrangerRate, strangerRateLow, strangerRateHigh)
}

// room returns the limits as a room has them.
func (c Config) room() room.Limits {
	return room.Limits{
		Bytes: int64(c.BodyBytesInFlightMax), Requests: int64(c.RequestsInFlightMax),
		UnprovenPercent: c.Unproven.Percent, SourcePercent: c.Unproven.SourcePercent, PeerPercent: c.Unproven.PeerPercent,
		UnknownRate: int64(c.Unproven.StrangerRate),
		RateMin:     int64(c.BodyRateMin), RateWindow: c.BodyRateWindow,
	}
}

// checkSourceName reports a name that no source may have.
func checkSourceName(p *config.Problems, field, name string) {
	p.Check(sourceName.MatchString(name), field, "%q is not 1 to 64 of a-z, 0-9, '-', '_', '.'", name)
}

func (s Source) validate(p *config.Problems, allowNone bool) {
	checkSourceName(p, "name", s.Name)
	_, ok := registry.Find(s.Provider)
	p.Check(ok, "provider", "%q is not one of %s", s.Provider, strings.Join(registry.Names(), ", "))
	s.Auth.Validate(p.At("auth"), s.Provider)
	p.Check(!s.Auth.None || allowNone, "auth", "none needs ingress.allow_unauthenticated: true")
	_, err := auth.ParsePrefixes(s.AllowFrom)
	p.Check(err == nil, "allow_from", "%v", err)
	isGeneric := s.Provider == generic.Name
	p.Check(!isGeneric || s.Generic != nil, "generic", "is missing: say where an item of this source has its type and the rest")
	p.Check(isGeneric || s.Generic == nil, "generic", "must be empty: it is for provider generic, and this is %s", s.Provider)
	if isGeneric && s.Generic != nil {
		generic.New(*s.Generic, s.Name, p.At("generic"))
		p.Check(!s.Generic.TakesBinary() || s.Auth.ProvesHeaders("ce-id", "ce-source", "ce-type"), "generic.modes",
			"auth.signature does not cover the headers that binary events are in, ce-id, ce-source and ce-type: take structured and batch alone")
		p.Check(!s.Generic.InQuery() || s.Auth.ProvesURL(), "generic.format",
			"auth.signature does not cover the parameters of the URL: ask for a secret beside it (auth.path, query, basic, bearer, header), or take form or json")
	}
}

// WebhookTopics returns the topics of what generic sources take that is not an event
// of an email, webhook.SOURCE.NAME, in the order of the sources. Their prefix is
// that of the event topics without its last part: "staging." for
// "staging.email.".
func (c Config) WebhookTopics(eventPrefix string) []string {
	var topics []string
	for _, s := range c.Sources {
		if s.Generic == nil {
			continue
		}
		for _, name := range s.Generic.Webhooks() {
			topics = append(topics, webhookTopic(eventPrefix, generic.TypeOf(s.Name, name)))
		}
	}
	return topics
}

func webhookTopic(eventPrefix string, t schemas.Type) string {
	return strings.TrimSuffix(eventPrefix, schemas.DefaultTopicPrefix) + string(t)
}

// ValidateBeside reports to p, a collector of the whole file, what shows only
// beside the section `kafka` or when the service is to run: every item of a
// request must fit into a dead letter whole, so that nothing is ever cut off.
func (c Config) ValidateBeside(k kafka.Config, p *config.Problems) {
	p = p.At("ingress")
	p.Check(len(c.Sources) > 0, "sources", "is empty: configure at least one source")
	most := (k.Topics.DeadLetterBytesMax - deadLetterOverheadBytes) / 4 * 3 // base64
	p.Check(c.BodyBytesMax <= most, "body_bytes_max",
		"%s does not fit into a dead letter: kafka.topics.dead_letter_bytes_max %s takes %s", c.BodyBytesMax, k.Topics.DeadLetterBytesMax, most)
	p.Check(c.Producer.BufferBytesMax >= k.Topics.DeadLetterBytesMax, "producer.buffer_bytes_max",
		"%s does not hold one dead letter of kafka.topics.dead_letter_bytes_max %s", c.Producer.BufferBytesMax, k.Topics.DeadLetterBytesMax)
	p.Check(c.Producer.PublishTimeout < c.HTTP.WriteTimeout, "producer.publish_timeout",
		"%s is not below http.write_timeout %s: the answer after it could not be sent", c.Producer.PublishTimeout, c.HTTP.WriteTimeout)
}
