package promtest

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// sample is one value of a series.
type sample struct {
	t int64
	v float64
}

// ST has no meaning here: no start of a counter is written down.
func (s sample) ST() int64                     { return 0 }
func (s sample) T() int64                      { return s.t }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// world is the series of a Group.
type world []*storage.SeriesEntry

// load reads the series of the group.
func (g Group) load() (world, error) {
	var all world
	for _, s := range g.Series {
		lset, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(s.Series + " " + s.Values)
		if err != nil {
			return nil, fmt.Errorf("read series %s: %w", s.Series, err)
		}
		var samples []chunks.Sample
		for i, v := range values {
			if !v.Omitted {
				samples = append(samples, sample{t: int64(i) * time.Duration(g.Interval).Milliseconds(), v: v.Value})
			}
		}
		all = append(all, storage.NewListSeries(lset, samples))
	}
	return all, nil
}

// Querier returns w itself: a query sees all times.
func (w world) Querier(_, _ int64) (storage.Querier, error) { return querier{world: w}, nil }

// querier is a world that queries read.
type querier struct{ world }

// Select returns the series that match.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{}
series:
	for _, s := range q.world {
		for _, m := range matchers {
			if !m.Matches(s.Labels().Get(m.Name)) {
				continue series
			}
		}
		set.left = append(set.left, s)
	}
	return set
}

// LabelValues is not used by queries.
func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames is not used by queries.
func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close has nothing to give back.
func (querier) Close() error { return nil }

// seriesSet walks series.
type seriesSet struct {
	left    []*storage.SeriesEntry
	current storage.Series
}

// Next goes to the next series.
func (s *seriesSet) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.current, s.left = s.left[0], s.left[1:]
	return true
}

// At is the series that Next went to.
func (s *seriesSet) At() storage.Series { return s.current }

// Err is always nil.
func (*seriesSet) Err() error { return nil }

// Warnings are none.
func (*seriesSet) Warnings() annotations.Annotations { return nil }
