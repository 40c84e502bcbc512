package store

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

//go:embed sql/query/engagement_weights.sql
var engagementWeightsSQL string

//go:embed sql/query/set_engagement_weights.sql
var setEngagementWeightsSQL string

// Engagement is how the view `engagement` weighs what people do. It takes effect with
// `mailstream migrate`.
type Engagement struct {
	// HalfLife is after how long an act counts half. Default 30d. Range [1d, 365d].
	HalfLife time.Duration `yaml:"half_life"`
	// Click is what a click of a person adds. Default 1. Range [0, 100].
	Click float64 `yaml:"click"`
	// Open is what an open adds that is not known to be a machine's: less than a click,
	// since some machines look like people. Default 0.25. Range [0, 100].
	Open float64 `yaml:"open"`
	// Sources are those whose recipients are scored. Default none: all sources.
	Sources []string `yaml:"sources"`
}

const (
	halfLifeMax = 365 * day
	weightMax   = 100.0
)

// DefaultEngagement returns what the migrations themselves set.
func DefaultEngagement() Engagement {
	return Engagement{HalfLife: 30 * day, Click: 1, Open: 0.25}
}

// Validate reports every fault to p.
func (e Engagement) Validate(p *config.Problems) {
	p.Check(e.HalfLife >= day && e.HalfLife <= halfLifeMax, "half_life", "%s is not in [1d, %s]",
		config.FormatDuration(e.HalfLife), config.FormatDuration(halfLifeMax))
	p.Check(e.Click >= 0 && e.Click <= weightMax, "click", "%g is not in [0, %g]", e.Click, weightMax)
	p.Check(e.Open >= 0 && e.Open <= weightMax, "open", "%g is not in [0, %g]", e.Open, weightMax)
	for i, source := range e.Sources {
		p.Check(source != "", fmt.Sprintf("sources[%d]", i), "it is empty: name a source, or leave sources out for all")
	}
}

// weights is the row that the view reads.
type weights struct {
	HalfLife float64  `ch:"half_life"` // days
	Click    float64  `ch:"click"`
	Open     float64  `ch:"open"`
	Sources  []string `ch:"sources"`
}

// setEngagement writes the weights of e where they are others.
func setEngagement(ctx context.Context, client *clickhouse.Client, e Engagement) error {
	var present []weights
	if err := client.Select(ctx, &present, engagementWeightsSQL); err != nil {
		return fmt.Errorf("read weights of engagement: %w", err)
	}
	want := weights{float64(e.HalfLife) / float64(day), e.Click, e.Open, e.Sources}
	if len(present) == 1 && present[0].HalfLife == want.HalfLife && present[0].Click == want.Click &&
		present[0].Open == want.Open && slices.Equal(present[0].Sources, want.Sources) {
		return nil
	}
	number := func(name string, v float64) any {
		return clickhouse.Arg(name, strconv.FormatFloat(v, 'g', -1, 64))
	}
	err := client.Exec(ctx, setEngagementWeightsSQL, number("half_life", want.HalfLife), number("click", want.Click),
		number("open", want.Open), clickhouse.Arg("sources", clickhouse.Words(want.Sources)))
	if err != nil {
		return fmt.Errorf("set weights of engagement: %w", err)
	}
	return nil
}
