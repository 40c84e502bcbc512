package store

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// The sums are of ClickHouse 26.5: SELECT hex(sipHash64(...)).
func TestSipHash_IsThatOfClickHouse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint64{"": 0x1E924B9D737700D7, "12345678": 0x5DE7ECC4BA81E998, "1234567890abcdefg": 0x2E1A99E05855CFB7} {
		if got := sipHash([]byte(text)); got != want {
			t.Errorf("%q: %X, want %X", text, got, want)
		}
	}
	if got, want := sipHashes([]byte("acme"), []byte("m"), []byte("p")), uint64(0x920C090B1600E954); got != want {
		t.Errorf("%X, want %X", got, want)
	}
}

// kept is the row of event_log under the rules.
func kept(t *testing.T, keep Keep, erased Erased, value string) clickhousetest.Row {
	t.Helper()
	return storedUnder(t, keep, erased, "event_log", eventRecord(value))[0]
}

// A column that is neither taken out nor counted here is a new one, of which somebody
// has to decide whether it leads to a person.
func TestBlock_KeepsOfAnEventThatIsOnlyCountedWhatIsCounted(t *testing.T) {
	t.Parallel()
	keep := Keep{{Source: "acme", Types: []schemas.Type{schemas.Bounced}, Rows: AggregatedRows}}
	want, got := kept(t, nil, nobody{}, fullEvent), kept(t, keep, nobody{}, fullEvent)
	for _, column := range []string{"provider_event_id", "message_id", "recipient", "recipient_hash", "subject", "smtp_reply", "url", "ip", "user_agent", "raw"} {
		want[column] = ""
	}
	want["tags"], want["metadata"], want["weight"] = []string{}, map[string]string{}, 0.
	want["message_key"] = sipHashes([]byte("acme"), []byte("19421777835146490"), []byte(erasedHash))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	forgotten := kept(t, keep, one{Hash: erasedHash, ErasedAt: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}, fullEvent)
	if want["message_key"] = uint64(0); !cmp.Equal(want, forgotten) {
		t.Errorf("of who is forgotten (-want +got):\n%s", cmp.Diff(want, forgotten))
	}
}

func TestKeep_TheFirstRuleThatFitsCounts(t *testing.T) {
	t.Parallel()
	keep := Keep{
		{Source: "acme", Types: []schemas.Type{schemas.Opened}, Rows: AllRows},
		{Source: "acme", Rows: AggregatedRows},
		{Types: []schemas.Type{schemas.Clicked, schemas.Processed}, Rows: SampledRows, Rate: 1},
		{Types: []schemas.Type{schemas.Bounced}, Rows: AggregatedRows},
	}
	for _, tc := range []struct {
		source, typ string
		want        float64
	}{{"acme", "opened", 1}, {"acme", "clicked", 0}, {"zeta", "clicked", 1}, {"zeta", "bounced", 0}, {"zeta", "delivered", 1}} {
		e := &event{}
		e.Source, e.Type = []byte(tc.source), []byte(tc.typ)
		if got := keep.weight(e); got != tc.want {
			t.Errorf("%s %s: weight %g, want %g", tc.source, tc.typ, got, tc.want)
		}
	}
}

// The same people are kept at every time, whatever the source and the type, those of a
// rate among those of a higher one, and the weights add up to all within the stated error.
func TestKeep_SamplesPeople(t *testing.T) {
	t.Parallel()
	const people = 20_000
	sums := map[float64]float64{}
	for n := range people {
		e := &event{}
		e.Source, e.Type, e.RecipientHash = []byte("acme"), []byte("opened"), fmt.Appendf(nil, "%032x", n)
		below := false
		for _, rate := range []float64{0.01, 0.1, 0.5} {
			weight := (Keep{{Rows: SampledRows, Rate: rate}}).weight(e)
			if weight != 0 && weight != 1/rate || below && weight == 0 {
				t.Fatalf("person %d at rate %g: weight %g", n, rate, weight)
			}
			below = weight != 0
			sums[rate] += weight
		}
		e.Source, e.Type, e.id = []byte("zeta"), []byte("clicked"), [16]byte{1}
		if again := (Keep{{Rows: SampledRows, Rate: 0.5}}).weight(e) != 0; again != below {
			t.Fatalf("person %d is kept of one source and type and not of another", n)
		}
	}
	for rate, sum := range sums {
		if off, sigma := math.Abs(sum/people-1), math.Sqrt((1-rate)/(rate*people)); off > 4*sigma {
			t.Errorf("rate %g: the weights are off by %.3f, more than four times %.3f", rate, off, sigma)
		}
	}
}

func TestKeep_NamesEveryFault(t *testing.T) {
	t.Parallel()
	for want, rule := range map[string]KeepRule{
		"": {Source: "acme", Types: []schemas.Type{schemas.Opened}, Rows: SampledRows, Rate: 1},
		`s.keep[0].rate: 0 is not in [0.0001, 1]`:             {Rows: SampledRows},
		`s.keep[0].rate: 1.5 is not in [0.0001, 1]`:           {Rows: SampledRows, Rate: 1.5},
		`s.keep[0].rate: NaN is not in [0.0001, 1]`:           {Rows: SampledRows, Rate: math.NaN()},
		`s.keep[0].rate: 0.5, but only`:                       {Rows: AggregatedRows, Rate: 0.5},
		`s.keep[0].rows: "some" is not one of all`:            {Rows: "some"},
		`s.keep[0].types[1]: "open" is not one of [processed`: {Types: []schemas.Type{schemas.Opened, "open"}},
	} {
		var p config.Problems
		(Keep{rule}).Validate(p.At("s"))
		err := p.Err()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", rule, err, want)
		}
	}
	for want, keep := range map[string]Keep{
		"s.keep[1]: never counts: keep[0] comes before it":                           {{Rows: AllRows}, {Source: "acme", Rows: AggregatedRows}},
		"s.keep[2]: never counts: keep[0] comes before it and fits all":              {{Types: []schemas.Type{schemas.Opened, schemas.Clicked}}, {}, {Source: "acme", Types: []schemas.Type{schemas.Clicked}}},
		"s.keep[1]: never counts: keep[0] comes before it and fits all that it fits": {{Source: "acme"}, {Source: "acme"}},
		"": {{Source: "acme", Types: []schemas.Type{schemas.Opened}}, {Source: "acme"}, {Types: []schemas.Type{schemas.Opened, schemas.Clicked}}, {Source: "zeta", Types: []schemas.Type{schemas.Opened, schemas.Bounced}}, {}},
	} {
		var p config.Problems
		keep.Validate(p.At("s"))
		err := p.Err()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", keep, err, want)
		}
	}
	var p config.Problems
	(Keep{{}, {Source: "acme"}, {Source: "akme"}}).ValidateSources([]string{"acme"}, &p)
	if err := p.Err(); err == nil || !strings.HasSuffix(err.Error(), "has 1 fault:\n  analytics.keep[2].source: \"akme\" is not one of ingress.sources [\"acme\"]") {
		t.Errorf("an unknown source: %v", err)
	}
}
