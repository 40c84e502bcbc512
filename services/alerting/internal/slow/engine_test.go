package slow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// server answers every query with nothing, or with its fault.
type server struct {
	fault   error
	slow    string // what a query has that takes all its time, "" for none
	queries []string
	limits  []clickhouse.Limits
}

func (s *server) SelectWithin(ctx context.Context, limits clickhouse.Limits, _ any, query string, _ ...any) error {
	s.queries, s.limits = append(s.queries, query), append(s.limits, limits)
	if s.slow != "" && strings.Contains(query, s.slow) {
		select {
		case <-time.After(limits.Time):
			return errors.New("timeout exceeded")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.fault
}

// rig is an engine over the built-in rules and what it gave away.
type rig struct {
	*Engine
	server *server
	rounds []Round
	newest time.Time
	active []schemas.Alert
}

func newRig(wanted bool) *rig {
	r := &rig{server: &server{}}
	r.Engine = New(Options{
		Rules: rule.BuiltIn(), Pace: time.Minute, RowsMax: 1, Wanted: wanted, Owned: func() bool { return true },
		Active: func() []schemas.Alert { return r.active }, Newest: func() time.Time { return r.newest },
		Take: func(round Round) { r.rounds = append(r.rounds, round) },
	}, r.server, zap.NewNop(), prometheus.NewRegistry())
	return r
}

// run takes a turn a second and returns what was said of rules not judged.
func (r *rig) run(t *testing.T, from time.Time, d time.Duration) (said []int64) {
	for at := from; at.Before(from.Add(d)); at = at.Add(time.Second) {
		r.turn(t.Context(), at)
	}
	for _, round := range r.rounds {
		for _, f := range round.Found {
			if f.Rule.Name == rule.NotJudged().Name {
				said = append(said, f.Reading.Part)
			}
		}
	}
	r.rounds = nil
	return slices.Compact(said)
}

var start = time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC)

func TestEngine_SaysAfter15MinutesThatRulesAreNotJudged(t *testing.T) {
	t.Parallel()
	r := newRig(false)
	at := start
	if said := r.run(t, at, time.Hour); len(said) > 0 || r.Blind() {
		t.Fatalf("all is well, yet: %v", said)
	}
	at = at.Add(time.Hour)
	r.server.fault = errors.New("away")
	if said := r.run(t, at, 14*time.Minute); len(said) > 0 || r.Blind() {
		t.Fatalf("said %v within 15 minutes", said)
	}
	at = at.Add(14 * time.Minute)
	if said := r.run(t, at, 10*time.Minute); len(said) == 0 || said[len(said)-1] != int64(len(rule.BuiltIn())) || !r.Blind() {
		t.Fatalf("said %v, blind %t", said, r.Blind())
	}
	at = at.Add(10 * time.Minute)
	r.server.fault = nil
	if said := r.run(t, at, 6*time.Minute); len(said) == 0 || said[len(said)-1] != 0 || r.Blind() {
		t.Fatalf("back, yet: %v, blind %t", said, r.Blind())
	}
}

// Of three queries one takes its whole time limit whenever it is asked: the other
// two keep their pace but for that time, it is asked ever less often, people hear of
// it after 15 minutes, and rounds never overlap.
func TestEngine_ASlowQueryHoldsUpOnlyItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		for _, q := range r.Engine.queries {
			q.pace = time.Minute
		}
		r.server.slow = "What each source sent"
		read := map[string][]time.Time{}
		var said []int64
		r.opt.Now = time.Now
		r.opt.Take = func(round Round) {
			for _, s := range round.Read {
				read[s.Rule] = append(read[s.Rule], time.Now())
			}
			for _, f := range round.Found {
				if f.Rule.Name == rule.NotJudged().Name {
					said = append(said, f.Reading.Part)
				}
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		asked := 0
		for i, q := range r.server.queries {
			if strings.Contains(q, r.server.slow) {
				asked++
			}
			if l := r.server.limits[i]; l.Time != queryTimeout || l.Memory != memoryMax || l.RowsRead != 1 || l.RowsResult == 0 {
				t.Fatalf("limits of a query: %+v", l)
			}
		}
		if asked < 8 || asked > 12 {
			t.Errorf("the slow query was asked %d times in 40 minutes", asked)
		}
		if len(read["silence"]) > 0 || len(said) == 0 || said[0] != 1 {
			t.Errorf("silence was read %d times; said of rules not judged: %v", len(read["silence"]), said)
		}
		for _, name := range []string{"complaint_warning", "hard_bounce_critical"} {
			times := read[name]
			if len(times) < 25 {
				t.Errorf("%s was read %d times in 40 minutes", name, len(times))
			}
			for i := range len(times) - 1 {
				if gap := times[i+1].Sub(times[i]); gap > time.Minute+queryTimeout+2*lookInterval {
					t.Errorf("%s was not read for %s", name, gap)
				}
			}
		}
	})
}

func TestEngine_ReadsNothingWhileClickHouseIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(false)
	r.run(t, start, time.Minute)
	r.server.fault = errors.New("away")
	for at := start.Add(time.Hour); at.Before(start.Add(2 * time.Hour)); at = at.Add(time.Second) {
		r.turn(t.Context(), at)
	}
	for _, round := range r.rounds {
		if len(round.Read) > 0 {
			t.Fatalf("a round without answers says that it read %v", round.Read)
		}
	}
}

func TestEngine_WithoutClickHouseTellsNobodyUnlessARuleWantsIt(t *testing.T) {
	t.Parallel()
	for _, wanted := range []bool{false, true} {
		r := newRig(wanted)
		r.server.fault = errors.New("there is none")
		said := r.run(t, start, time.Hour)
		if gauge := testutil.ToFloat64(r.met.notJudged); (len(said) > 0) != wanted || r.Blind() != wanted || (gauge > 0) != wanted {
			t.Errorf("a rule was written: %t; said %v, metric %v", wanted, said, gauge)
		}
	}
}

func TestEngine_DoesNotBelieveAStoreThatIsBehind(t *testing.T) {
	t.Parallel()
	r := newRig(false)
	r.newest = start.Add(-time.Minute)
	r.turn(t.Context(), start)
	if len(r.rounds) > 0 {
		t.Fatal("judged although Kafka has an event that ClickHouse lacks")
	}
	r.newest = time.Time{}
	r.run(t, start.Add(6*time.Minute), time.Second)
	if len(r.server.queries) < 3 {
		t.Error("did not try later")
	}
}

func TestPlan_SharesQueries(t *testing.T) {
	t.Parallel()
	queries := plan(rule.BuiltIn(), time.Minute)
	if len(queries) != 3 { // silence, complaints, hard bounces
		t.Errorf("%d queries for the built-in rules, want 3", len(queries))
	}
	for _, q := range queries {
		if q.pace < time.Minute || q.pace > 5*time.Minute {
			t.Errorf("%s is read every %s", q.rules()[0].Name, q.pace)
		}
	}
}

// Rules that read the same mail share one query, however they split it.
func TestPlan_ReadsTheSameMailOnce(t *testing.T) {
	t.Parallel()
	var rules []rule.Rule
	for i, name := range []string{metric.BlockRate, metric.BounceRate, metric.ComplaintRate, metric.DeferralRate} {
		rules = append(rules, rule.Rule{
			Name: name, Metric: name, By: []string{metric.Campaign, metric.SendingIP, metric.Tag}, Window: 24 * time.Hour, Together: i == 0,
		}.WithDefaults())
	}
	queries := plan(rules, time.Minute)
	if len(queries) != 1 || len(queries[0].splits) != 6 { // each with and without its source
		t.Fatalf("%d queries, the first with %d splits", len(queries), len(queries[0].splits))
	}
	if got := len(queries[0].rules()); got != len(rules) {
		t.Errorf("%d rules, want %d", got, len(rules))
	}
}

// The weeks before are the dearest to read and hardly change: they are read now and
// then, and anew when time goes back, as a back-test may make it.
func TestVolume_RemembersTheWeeksBefore(t *testing.T) {
	t.Parallel()
	r := &rig{server: &server{}}
	r.Engine = New(Options{
		Rules: []rule.Rule{rule.Rule{Name: "v", Metric: metric.VolumeDrop, Window: 24 * time.Hour}.WithDefaults()}, Pace: time.Minute, RowsMax: 1,
		Active: func() []schemas.Alert { return nil },
	}, r.server, zap.NewNop(), prometheus.NewRegistry())
	usual := func() (n int) {
		for _, q := range r.server.queries {
			if strings.Contains(q, "four weeks before") {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {59 * time.Minute, 1}, {time.Hour, 2}, {0, 3}} {
		if _, err := r.ReadAll(t.Context(), start.Add(tt.at)); err != nil {
			t.Fatal(err)
		}
		if got := usual(); got != tt.want {
			t.Errorf("after %s: the weeks before were read %d times, want %d", tt.at, got, tt.want)
		}
	}
}

// What explains an incident must not keep it from being told.
func TestEngine_FiresWithoutItsEvidence(t *testing.T) {
	t.Parallel()
	r := newRig(true)
	q := r.Engine.queries[1]
	f := &Found{Rule: q.rules()[0], Labels: map[string]string{metric.Source: "a"}}
	r.server.fault = errors.New("too much memory")
	if err := r.evidence(t.Context(), q, span{start, start.Add(time.Hour)}, map[string][]*Found{"0": {f}}); err == nil {
		t.Error("no evidence, and no error")
	}
	r.server.fault = nil
	if err := r.evidence(t.Context(), q, span{start, start.Add(time.Hour)}, map[string][]*Found{"0": {f}}); err != nil || f.Carriers != nil {
		t.Errorf("nothing is known: %v, %v", f.Carriers, err)
	}
}

func TestTop_CountsWhatTheMetricCounts(t *testing.T) {
	t.Parallel()
	list := []reasonRow{
		{Name: "k", Type: "bounced", Hard: true, Reason: "invalid_recipient", Cause: "recipient", Messages: 9, Reply: "550 no user a@b.example"},
		{Name: "k", Type: "blocked", Refused: true, Reason: "reputation", Cause: "sender", Messages: 5},
		{Name: "k", Type: "bounced", Refused: true, Reason: "reputation", Cause: "sender", Messages: 3},
		{Name: "k", Type: "deferred", Reason: "greylisted", Cause: "network", Messages: 7},
		{Name: "k", Type: "bounced", Messages: 1},
		{Name: "other", Type: "blocked", Refused: true, Reason: "policy", Cause: "sender", Messages: 50},
	}
	for name, want := range map[string]string{
		metric.BlockRate: "8 reputation", metric.HardBounceRate: "9 invalid_recipient", metric.BounceRate: "9 invalid_recipient, 1 other",
		metric.DeferralRate: "7 greylisted", metric.DeliveryRate: "9 invalid_recipient, 8 reputation, 1 other", metric.ComplaintRate: "",
	} {
		var got []string
		for _, c := range top(list, "k", name) {
			got = append(got, fmt.Sprint(c.Count, " ", c.Reason))
			if strings.Contains(c.Sample, "@") {
				t.Errorf("an address is shown: %q", c.Sample)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestSplit_KeysAndLabelsAreEachOthersReverse(t *testing.T) {
	t.Parallel()
	for _, s := range []split{{by: metric.Campaign}, {by: metric.Campaign, together: true}, {by: metric.Source}, {by: metric.All}} {
		source := "a/b"
		if s.alone() {
			source = ""
		}
		gotSource, key, ok := s.keyOf(s.labels(source, "it's"))
		if !ok || gotSource != source || key != "it's" {
			t.Errorf("%+v: %q of %q, %t", s, key, gotSource, ok)
		}
	}
	if _, _, ok := (split{by: metric.Campaign}).keyOf(map[string]string{metric.Campaign: "x"}); ok {
		t.Error("an alert of all sources is taken for one of a source")
	}
}

func TestQuartile_WantsThreeOfFourWeeks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		before []uint64
		want   float64
	}{{[]uint64{0, 50, 40, 60}, 40}, {[]uint64{0, 0, 100, 100}, 0}, {[]uint64{30, 20, 10, 1000}, 20}, {nil, 0}} {
		if got := quartile(tt.before); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.before, got, tt.want)
		}
	}
}

func TestLearnt_SumsPartsOfHours(t *testing.T) {
	t.Parallel()
	l := learnt{start.Unix(): 60, start.Add(time.Hour).Unix(): 120}
	if got := l.sum(start.Add(30*time.Minute), start.Add(90*time.Minute)); got != 90 {
		t.Errorf("half of 60 and half of 120 are %v", got)
	}
}

func TestStated_CountsOnlyTheHours(t *testing.T) {
	t.Parallel()
	hours, err := rule.ParseHours("Mon-Fri 08-20")
	if err != nil {
		t.Fatal(err)
	}
	friday := time.Date(2026, 11, 6, 19, 50, 0, 0, time.UTC)
	monday := time.Date(2026, 11, 9, 8, 5, 0, 0, time.UTC)
	if got := stated(rule.Expect{Min: 1, Every: 15 * time.Minute}, hours, friday, monday); got != 1 {
		t.Errorf("15 minutes within the hours are %v expected events", got)
	}
}
