package suppression

import (
	"fmt"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// Config is the section `suppression`.
type Config struct {
	httpserver.Config `yaml:",inline"`
	// Tokens are the bearer tokens of the API; several at once for rotation.
	// Required, unless AllowUnauthenticated.
	Tokens []config.Secret `yaml:"tokens"`
	// AllowUnauthenticated allows reads and writes without a token to every client
	// that reaches the listener. Default false.
	AllowUnauthenticated bool `yaml:"allow_unauthenticated"`
	// HardBounceProbation is how long a first hard bounce that is certain
	// suppresses an address; 0s is for ever. Default 0s. Range [1d, 365d] or 0s.
	HardBounceProbation time.Duration `yaml:"hard_bounce_probation"`
	// LikelyBounceProbation is how long a first hard bounce suppresses an address
	// where only a hint says that it is dead. Cloudflare and Naver Cloud chose as
	// long. Default 7d. Range [1d, 365d].
	LikelyBounceProbation time.Duration `yaml:"likely_bounce_probation"`
	// SecondStrikeAfter is how long after the first bounce of an address another one
	// makes its probation permanent. A broken server answers one campaign with the
	// same wrong code all day. Default 1d. Range [1h, 30d].
	SecondStrikeAfter time.Duration `yaml:"second_strike_after"`
	// SoftBounces says from when on soft bounces list an address.
	SoftBounces SoftBounces `yaml:"soft_bounces"`
	// ProviderSuppressedFor is how long an address is listed after a provider did not try
	// a message because its own list has the address; another such message renews it.
	// Providers keep theirs for ever or for weeks (SES 14 days at most), so it is asked
	// once a quarter. Default 90d. Range [1d, 365d].
	ProviderSuppressedFor time.Duration `yaml:"provider_suppressed_for"`
	// OutageBounceRate is the share of certain hard bounces among all that a mailbox
	// provider took or refused within 15m from which on, if it is also 5 times the
	// usual one and 3 times that of all others, new bounces are put on probation.
	// 1 turns it off. Default 0.1. Range [0.01, 1].
	OutageBounceRate float64 `yaml:"outage_bounce_rate"`
	// TransactionalStreams carry mail that an unsubscribe does not stop: receipts,
	// password resets. Default [transactional].
	TransactionalStreams []string `yaml:"transactional_streams"`
	// TokenWait is how long a check with a min_token waits for it. Range [0s, 10s].
	// Default 250ms.
	TokenWait time.Duration `yaml:"token_wait"`
	// StaleAfter is the lag behind Kafka from which on answers say that they are
	// stale and /readyz says no. Range [1s, 1h]. Default 30s.
	StaleAfter time.Duration `yaml:"stale_after"`
	// CacheBytes is the memory for blocks of the local store, beside 1.5 bytes for
	// each address in its filter. Range [1MiB, 64GiB]. Default 64MiB.
	CacheBytes config.ByteSize `yaml:"cache_bytes"`
	// Snapshot says where an empty replica gets the list from before it reads the topic.
	Snapshot Snapshot `yaml:"snapshot"`
}

const (
	probationMin  = 24 * time.Hour
	probationMax  = 365 * 24 * time.Hour
	strikeMin     = time.Hour
	strikeMax     = 30 * 24 * time.Hour
	outageRateMin = 0.01
	streamsMax    = 100 // each check compares with all of them
	tokenWaitMax  = 10 * time.Second
	staleAfterMin = time.Second
	staleAfterMax = time.Hour
	cacheBytesMin = config.MiB
	cacheBytesMax = 64 * 1024 * config.MiB
)

// Default returns the settings of an empty section. It is not valid without
// more: a token is missing.
func Default() Config {
	return Config{
		Config:                httpserver.Default("127.0.0.1:8082"),
		LikelyBounceProbation: 7 * 24 * time.Hour,
		SecondStrikeAfter:     24 * time.Hour,
		SoftBounces:           defaultSoftBounces(),
		ProviderSuppressedFor: 90 * 24 * time.Hour,
		OutageBounceRate:      0.1,
		TransactionalStreams:  []string{"transactional"},
		TokenWait:             250 * time.Millisecond,
		StaleAfter:            30 * time.Second,
		CacheBytes:            64 * config.MiB,
	}
}

func (c Config) probations() list.Probations {
	return list.Probations{
		Certain: c.HardBounceProbation, Likely: c.LikelyBounceProbation, SecondStrikeAfter: c.SecondStrikeAfter, Provider: c.ProviderSuppressedFor,
	}
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	c.Config.Validate(p)
	set := 0
	for _, t := range c.Tokens {
		if t.IsSet() {
			set++
		}
	}
	p.Check(set == len(c.Tokens), "tokens", "%d of %d are empty", len(c.Tokens)-set, len(c.Tokens))
	p.Check(set > 0 || c.AllowUnauthenticated, "tokens", "is empty: set a token, or allow_unauthenticated: true to allow every client")
	p.Check(set == 0 || !c.AllowUnauthenticated, "allow_unauthenticated", "is true although there are tokens")
	p.Check(c.HardBounceProbation == 0 || c.HardBounceProbation >= probationMin && c.HardBounceProbation <= probationMax,
		"hard_bounce_probation", "%s is not 0s or in [%s, %s]", c.HardBounceProbation, probationMin, probationMax)
	p.Check(c.LikelyBounceProbation >= probationMin && c.LikelyBounceProbation <= probationMax,
		"likely_bounce_probation", "%s is not in [%s, %s]", c.LikelyBounceProbation, probationMin, probationMax)
	p.Check(c.SecondStrikeAfter >= strikeMin && c.SecondStrikeAfter <= strikeMax, "second_strike_after", "%s is not in [%s, %s]", c.SecondStrikeAfter, strikeMin, strikeMax)
	c.SoftBounces.validate(p.At("soft_bounces"))
	c.Snapshot.validate(p.At("snapshot"))
	p.Check(c.ProviderSuppressedFor >= probationMin && c.ProviderSuppressedFor <= probationMax,
		"provider_suppressed_for", "%s is not in [%s, %s]", c.ProviderSuppressedFor, probationMin, probationMax)
	p.Check(c.OutageBounceRate >= outageRateMin && c.OutageBounceRate <= 1, "outage_bounce_rate", "%g is not in [%g, 1]", c.OutageBounceRate, outageRateMin)
	p.Check(len(c.TransactionalStreams) <= streamsMax, "transactional_streams", "%d of them, want at most %d", len(c.TransactionalStreams), streamsMax)
	for i, s := range c.TransactionalStreams {
		p.Check(s != "", fmt.Sprintf("transactional_streams[%d]", i), "is empty: name a stream")
	}
	p.Check(c.TokenWait >= 0 && c.TokenWait <= tokenWaitMax, "token_wait", "%s is not in [0s, %s]", c.TokenWait, tokenWaitMax)
	p.Check(c.TokenWait < c.HTTP.WriteTimeout, "token_wait", "%s is not below http.write_timeout %s: the answer after it could not be sent", c.TokenWait, c.HTTP.WriteTimeout)
	p.Check(c.StaleAfter >= staleAfterMin && c.StaleAfter <= staleAfterMax, "stale_after", "%s is not in [%s, %s]", c.StaleAfter, staleAfterMin, staleAfterMax)
	p.Check(c.CacheBytes >= cacheBytesMin && c.CacheBytes <= cacheBytesMax, "cache_bytes", "%s is not in [%s, %s]", c.CacheBytes, cacheBytesMin, cacheBytesMax)
}
