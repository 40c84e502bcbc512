package analytics

import (
	"fmt"
	"time"

	"github.com/mailstream/mailstream/services/analytics/internal/store"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// Config is the section `analytics`.
type Config struct {
	httpserver.Config `yaml:",inline"`
	// Tokens are the bearer tokens of /v1/dead-letters; several at once for rotation.
	// With one, the service needs privacy.pepper, reads the names and mappings of
	// ingress.sources, and writes events. Default none: it refuses every call.
	Tokens []config.Secret `yaml:"tokens"`
	// FlushInterval is how long a batch that is not full waits for more events: the
	// larger, the fewer parts ClickHouse has to merge, and the later a row is seen.
	// Range [10ms, 30s]. Default 500ms.
	FlushInterval time.Duration `yaml:"flush_interval"`
	// BatchRowsMax bounds the rows of one batch. Range [1, 1_000_000]. Default 100_000.
	BatchRowsMax int `yaml:"batch_rows_max"`
	// BatchBytesMax bounds the bytes of one batch, which becomes one part in
	// ClickHouse: larger ones leave less to merge. Memory while it lags is about
	// four times as much: read ahead, present, decoded, compressed. Range [64KiB,
	// 512MiB]. Default 64MiB.
	BatchBytesMax config.ByteSize `yaml:"batch_bytes_max"`
	// Decoders is how many processors one batch is decoded on. Range [1, 16].
	// Default 2.
	Decoders int `yaml:"decoders"`
	// JudgeInterval is how often the service looks for opens and clicks that prove to be
	// of a machine by what came later, and for events of another day than their message.
	// Looks that take long are up to ten times rarer. Range [1s, 1h]. Default 30s.
	JudgeInterval time.Duration `yaml:"judge_interval"`
	// SealInterval is how often the service looks for past hours whose counts can
	// be sealed (made final). Range [1s, 1h]. Default 1m.
	SealInterval time.Duration `yaml:"seal_interval"`
	// SealRest is for how long an hour must have had no new row. It must be above
	// `clickhouse.insert_timeout`, within which an insert may still reach some of the
	// tables. Range [2s, 24h]. Default 10m.
	SealRest time.Duration `yaml:"seal_rest"`
	// EraseInterval is how often the service looks for people who have to be forgotten,
	// and for what is left of them. They are hidden within this time and a few
	// seconds. Range [1s, 30s]. Default 5s.
	EraseInterval time.Duration `yaml:"erase_interval"`
	// Retention is how long rows are kept. It takes effect with `mailstream migrate`.
	Retention Retention `yaml:"retention"`
	// Keep says of which events all is kept, by source and type, up to 100 rules: the
	// first one that fits counts. Default none: all of all events. See docs/sql.md.
	Keep store.Keep `yaml:"keep"`
	// Engagement is how the view `engagement` weighs what people do. It takes effect
	// with `mailstream migrate`.
	Engagement Engagement `yaml:"engagement"`
}

// Engagement is how the view `engagement` weighs what people do.
type Engagement = store.Engagement

// Retention is how long rows of each table are kept.
type Retention = store.Retention

const (
	flushIntervalMin = 10 * time.Millisecond
	flushIntervalMax = 30 * time.Second // well below the group's rebalance timeout
	batchRowsMax     = 1_000_000        // ClickHouse cuts larger blocks
	batchBytesMin    = 64 * config.KiB
	batchBytesMax    = 512 * config.MiB
	decodersMax      = 16 // each has memory for its part of a batch
	sealIntervalMin  = time.Second
	sealIntervalMax  = time.Hour
	eraseIntervalMin = time.Second
	eraseIntervalMax = 30 * time.Second // people are hidden within a minute
	sealRestMin      = 2 * time.Second  // hour_rows counts in whole seconds
	sealRestMax      = 24 * time.Hour
)

// Default returns the settings of an empty section.
func Default() Config {
	return Config{
		Config:        httpserver.Default("127.0.0.1:8081"),
		FlushInterval: 500 * time.Millisecond,
		BatchRowsMax:  100_000,
		BatchBytesMax: 64 * config.MiB,
		Decoders:      2,
		JudgeInterval: 30 * time.Second,
		SealInterval:  time.Minute,
		SealRest:      10 * time.Minute,
		EraseInterval: 5 * time.Second,
		Retention:     store.DefaultRetention(),
		Engagement:    store.DefaultEngagement(),
	}
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	c.Config.Validate(p)
	for i, t := range c.Tokens {
		p.Check(t.IsSet(), fmt.Sprintf("tokens[%d]", i), "is empty")
	}
	p.Check(c.FlushInterval >= flushIntervalMin && c.FlushInterval <= flushIntervalMax,
		"flush_interval", "%s is not in [%s, %s]", c.FlushInterval, flushIntervalMin, flushIntervalMax)
	p.Check(c.BatchRowsMax >= 1 && c.BatchRowsMax <= batchRowsMax, "batch_rows_max", "%d is not in [1, %d]", c.BatchRowsMax, batchRowsMax)
	p.Check(c.BatchBytesMax >= batchBytesMin && c.BatchBytesMax <= batchBytesMax,
		"batch_bytes_max", "%s is not in [%s, %s]", c.BatchBytesMax, batchBytesMin, batchBytesMax)
	p.Check(c.Decoders >= 1 && c.Decoders <= decodersMax, "decoders", "%d is not in [1, %d]", c.Decoders, decodersMax)
	p.Check(c.JudgeInterval >= sealIntervalMin && c.JudgeInterval <= sealIntervalMax,
		"judge_interval", "%s is not in [%s, %s]", c.JudgeInterval, sealIntervalMin, sealIntervalMax)
	p.Check(c.SealInterval >= sealIntervalMin && c.SealInterval <= sealIntervalMax,
		"seal_interval", "%s is not in [%s, %s]", c.SealInterval, sealIntervalMin, sealIntervalMax)
	p.Check(c.SealRest >= sealRestMin && c.SealRest <= sealRestMax, "seal_rest", "%s is not in [%s, %s]", c.SealRest, sealRestMin, sealRestMax)
	p.Check(c.EraseInterval >= eraseIntervalMin && c.EraseInterval <= eraseIntervalMax,
		"erase_interval", "%s is not in [%s, %s]", c.EraseInterval, eraseIntervalMin, eraseIntervalMax)
	c.Retention.Validate(p.At("retention"))
	c.Keep.Validate(p)
	c.Engagement.Validate(p.At("engagement"))
}

// ValidateBeside reports to p, a collector of the whole file, what shows only
// beside the section `clickhouse`: no hour may be sealed while an insert is on its
// way to its tables.
func (c Config) ValidateBeside(ch clickhouse.Config, p *config.Problems) {
	p.Check(c.SealRest > ch.InsertTimeout, "analytics.seal_rest", "%s is not above clickhouse.insert_timeout %s: an hour could be sealed before an insert has reached all tables",
		config.FormatDuration(c.SealRest), config.FormatDuration(ch.InsertTimeout))
}
