package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailstream/mailstream/devstack/bench"
)

type options struct {
	entries, events, rounds int
	progress                func(string)
}

// measurement is one benchmark that fills rows of the table.
type measurement struct {
	name, about string
	run         func(context.Context, options) ([]row, error)
}

// The budgets, from ARCHITECTURE.md.
const (
	ingressRatioMin = 0.80
	ingressP99Max   = 1.5
	groupGainMin    = 8.0
	drainRatioMin   = 2.0
	judgeRatioMin   = 0.80
	checkSingleMax  = 2 * time.Millisecond
	checkBulkMax    = 20 * time.Millisecond
	filterRateMin   = 200_000.0
	fillMax         = time.Minute
	importRateMin   = 20_000.0 // 10 million within ten minutes
	rowMax          = 2 * time.Second
	suppressedMax   = 100 * time.Millisecond
	slackMax        = 2 * time.Second
	backtestMax     = time.Minute
	restartMax      = 10 * time.Second
	restartEvents   = 1_800_000 // what is in the longest window at 2,000 events/s
	slowMax         = 5 * time.Second
	pageMax         = 300 * time.Millisecond
	viewersCostMax  = 1.10
	storyMax        = time.Second
	storyRowsMax    = 200_000   // of a person or a message
	ratesRowsMax    = 5_000_000 // of 30 days
	funnelRowsMax   = 3         // times the messages of the campaign
)

func measurements() []measurement {
	return []measurement{
		{"ingress", "webhooks beside a bare handler that produces the raw body with acks=all", ingress},
		{"drain", "a backlog from Kafka into ClickHouse beside ClickHouse's own Kafka engine", drain},
		{"judge", "a backlog into ClickHouse while opens and clicks are judged after the fact, every 2 s instead of 30 s, beside the same while they are not", judge},
		{"latency", "from a webhook's 200 to its row, its suppression and its Slack message, at 2,000 events/s", latency},
		{"alerting", "events counted from the topics beside a plain reader with a map, and a spike until Slack has it, with 50 rules at 2,000 events/s", alerting},
		{"backtest", "30 days of mail played to 50 rules beside a query that only reads the counts", backtest},
		{"played", "two weeks of mail with known faults played to the built-in rules, after four weeks without", played},
		{"slow", "a round of 50 rules by SQL over five weeks beside one pass over the same events", slow},
		{"console", "pages over 20 million events while 2,000/s arrive beside a query that counts a day, and inserts with 20 viewers beside those without", console},
		{"stories", "what analysts ask of 20 million events while 2,000/s arrive beside a scan of event_log", stories},
		{"check", "suppression checks beside a handler with a Go map", check},
		{"fill", "replicas that know nothing start from the topic and from a snapshot beside a reader with a map, and an import beside a bare producer", fill},
	}
}

func names() string {
	var list []string
	for _, m := range measurements() {
		list = append(list, m.name)
	}
	return strings.Join(list, ", ")
}

func ingress(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Ingress(ctx, bench.IngressOptions{Rounds: o.rounds, Progress: o.progress})
	if err != nil {
		return nil, err
	}
	return []row{
		{"ingress, one event a request", rate(r.Single.Requests, "requests"), rate(r.Reference.Requests, "requests"), times(r.Ratio()), fmt.Sprintf(">= %.2fx", ingressRatioMin), r.Ratio() >= ingressRatioMin},
		{"ingress, p99", span(r.Single.P99), span(r.Reference.P99), times(r.P99Ratio()), fmt.Sprintf("<= %.1fx", ingressP99Max), r.P99Ratio() <= ingressP99Max},
		{"ingress, groups of 100", rate(r.Grouped.Events, "events"), rate(r.Single.Events, "events") + " one by one", times(r.GroupGain()), fmt.Sprintf(">= %.0fx", groupGainMin), r.GroupGain() >= groupGainMin},
	}, nil
}

func drain(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Drain(ctx, bench.Options{Rounds: o.rounds, Progress: o.progress})
	if err != nil {
		return nil, err
	}
	budget := fmt.Sprintf(">= %.0fx", drainRatioMin)
	return []row{
		{"analytics drain", rate(r.Ours, "rows"), rate(r.KafkaEngine, "rows") + " Kafka engine", times(r.Ratio()), budget, r.Ratio() >= drainRatioMin},
		{"analytics drain, engine tuned", rate(r.Ours, "rows"), rate(r.KafkaEngineTuned, "rows") + " a consumer a core", times(r.TunedRatio()), budget, r.TunedRatio() >= drainRatioMin},
	}, nil
}

func judge(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Judge(ctx, bench.Options{Rounds: o.rounds, Progress: o.progress})
	if err == nil && r.Hours == 0 {
		err = errors.New("no hour was judged meanwhile: too few events to measure")
	}
	if err != nil {
		return nil, err
	}
	return []row{{"insert while judging", rate(r.Judged, "events"), rate(r.Alone, "events") + " not judging", times(r.Ratio()) + ", " + times(r.CPURatio()) + " of processor time", fmt.Sprintf(">= %.2fx", judgeRatioMin), r.Ratio() >= judgeRatioMin}}, nil
}

func latency(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Latency(ctx, bench.LatencyOptions{Progress: o.progress})
	if err != nil {
		return nil, err
	}
	beside := fmt.Sprintf("at %.0f events/s", r.Rate)
	line := func(what string, s bench.Spread, budget time.Duration) row {
		return row{"200 to " + what + ", p99", span(s.P99), beside, "p50 " + span(s.P50), "<= " + budget.String(), s.P99 <= budget}
	}
	return []row{line("row in events", r.Row, rowMax), line("check", r.Check, suppressedMax), line("Slack", r.Slack, slackMax)}, nil
}

func alerting(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Alerting(ctx, bench.AlertingOptions{Progress: o.progress})
	if err != nil {
		return nil, err
	}
	return []row{
		{"alerting, events counted", rate(r.Counted, "events"), rate(r.Reference, "events") + " with a map", times(r.Counted / r.Reference), ">= 1x", r.Counted >= r.Reference},
		{"threshold crossed to Slack, 50 rules, p99", span(r.Told.P99), fmt.Sprintf("at %.0f events/s", r.Rate), "p50 " + span(r.Told.P50), "<= " + slackMax.String(), r.Told.P99 <= slackMax},
		{fmt.Sprintf("restart to judging, %.1f M events in 15m", restartEvents/1e6), span(r.Restart(restartEvents)), "at the rate of the first row", "", "<= " + restartMax.String(), r.Restart(restartEvents) <= restartMax},
	}, nil
}

func check(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Check(ctx, bench.CheckOptions{Entries: o.entries, Progress: o.progress})
	if err != nil {
		return nil, err
	}
	size := fmt.Sprintf(" of %.0f M", float64(r.Entries)/1e6)
	return []row{
		{"check one" + size + ", p99", span(r.Single.P99), span(r.ReferenceSingle.P99) + " a map", times(ratio(r.Single, r.ReferenceSingle)), "<= " + checkSingleMax.String(), r.Single.P99 <= checkSingleMax},
		{"check 1,000" + size + ", p99", span(r.Bulk.P99), span(r.Reference.P99) + " a map", times(ratio(r.Bulk, r.Reference)), "<= " + checkBulkMax.String(), r.Bulk.P99 <= checkBulkMax},
		{"check 1,000, all listed, p99", span(r.BulkListed.P99), span(r.Reference.P99) + " a map", times(ratio(r.BulkListed, r.Reference)), "<= " + checkBulkMax.String(), r.BulkListed.P99 <= checkBulkMax},
		{"check a send of 1 M" + size, rate(r.Filter, "addresses"), rate(r.ReferenceFilter, "addresses") + " a map", times(r.Filter / r.ReferenceFilter), fmt.Sprintf(">= %.0f/s", filterRateMin), r.Filter >= filterRateMin},
	}, nil
}

func fill(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Fill(ctx, bench.CheckOptions{Entries: o.entries, Progress: o.progress})
	if err != nil {
		return nil, err
	}
	size := fmt.Sprintf("%.0f M", float64(r.Entries)/1e6)
	most := min(fillMax, fillMax*time.Duration(r.Entries)/20_000_000) // the budget speaks of 20 million
	line := func(from string, c bench.FillCost) row {
		ours := fmt.Sprintf("%s (%s of processor)", span(c.Took), span(c.CPU))
		return row{"empty replica of " + size + " from " + from, ours, span(r.Reference.Took) + " a map", times(c.Took.Seconds() / r.Reference.Took.Seconds()), "<= " + most.String(), c.Took <= most}
	}
	return []row{
		line("the topic", r.Topic), line("a snapshot", r.Snapshot),
		{"import", rate(r.Import, "addresses"), rate(r.Produce, "records") + " bare producer", times(r.Import / r.Produce), ">= 20000/s", r.Import >= importRateMin},
	}, nil
}

func ratio(ours, reference bench.Load) float64 { return float64(ours.P99) / float64(reference.P99) }

func rate(perSecond float64, of string) string { return fmt.Sprintf("%.0f %s/s", perSecond, of) }

func span(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

func times(x float64) string { return fmt.Sprintf("%.2fx", x) }

func backtest(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Backtest(ctx, bench.Options{Rounds: o.rounds, Progress: o.progress})
	if err != nil {
		return nil, err
	}
	line := func(which string, c bench.BacktestCost) row {
		what := fmt.Sprintf("back-test, 30 days, 50 rules %s, %.1f M messages", which, float64(c.Messages)/1e6)
		ours := fmt.Sprintf("%s (%s of processor)", span(c.Took), span(c.CPU))
		return row{what, ours, span(c.Reference) + " read only", times(c.Took.Seconds() / c.Reference.Seconds()), "<= " + backtestMax.String(), c.Took <= backtestMax}
	}
	return []row{line("from the stream", r.Stream), line("by SQL", r.SQL)}, nil
}

func played(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Played(ctx, bench.Options{Progress: o.progress})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, p := range r.Rules {
		for _, wrong := range p.Wrong {
			o.progress(p.Rule + " was wrong: " + wrong)
		}
		rows = append(rows, row{
			"played weeks, " + p.Rule, fmt.Sprintf("precision %.2f, recall %.2f", p.Precision(), p.Recall()), fmt.Sprintf("%d faults, %d pages", p.Faults, p.Pages),
			fmt.Sprintf("after %s, at most %s", p.Middle, p.Longest), fmt.Sprintf(">= %.2f, 1.00, %s", bench.PlayedPrecisionMin, bench.PlayedDelayMax(p.Rule)), p.Good(),
		})
	}
	return rows, nil
}

func slow(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Slow(ctx, bench.Options{Rounds: o.rounds, Progress: o.progress})
	if err != nil {
		return nil, err
	}
	line := func(which string, c bench.SlowCost) row {
		what := fmt.Sprintf("50 rules by SQL, 35 days, %.1f M events, %s round", float64(r.Events)/1e6, which)
		return row{what, c.String(), r.Reference.String() + " one pass", times(c.Took.Seconds() / r.Reference.Took.Seconds()), "<= " + slowMax.String(), c.Took <= slowMax}
	}
	return []row{line("first", r.First), line("next", r.Next)}, nil
}

func console(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Console(ctx, bench.ConsoleOptions{Events: o.events, Rounds: o.rounds, Progress: o.progress})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("console page, %.0f M events, %.0f events/s, p95", float64(r.Events)/1e6, r.Rate)
	return []row{
		{what, span(r.P95), span(r.Reference) + " counting a day", times(r.P95.Seconds() / r.Reference.Seconds()), "<= " + pageMax.String(), r.P95 <= pageMax},
		{"insert with 20 viewers, mean", span(r.Watched), span(r.Alone) + " without", times(r.Cost()), fmt.Sprintf("<= %.2fx", viewersCostMax), r.Cost() <= viewersCostMax},
	}, nil
}

func stories(ctx context.Context, o options) ([]row, error) {
	r, err := bench.Stories(ctx, bench.ConsoleOptions{Events: o.events, Rounds: o.rounds, Progress: o.progress})
	if err != nil {
		return nil, err
	}
	line := func(s bench.Story, rowsMax int) row {
		return row{
			fmt.Sprintf("%s, of %.0f M events, %.0f events/s, p95", s.Question, float64(r.Events)/1e6, r.Rate),
			fmt.Sprintf("%s, %d rows read", span(s.P95), s.Rows), fmt.Sprintf("%s, %d rows, by a scan", span(s.Scan), s.Scanned),
			times(s.P95.Seconds() / s.Scan.Seconds()), fmt.Sprintf("<= %s, %d rows", storyMax, rowsMax), s.P95 <= storyMax && s.Rows <= rowsMax,
		}
	}
	return []row{
		line(r.Person, storyRowsMax), line(r.Message, storyRowsMax),
		line(r.Funnel, funnelRowsMax*r.Messages), line(r.Rates, ratesRowsMax), line(r.Campaigns, ratesRowsMax),
	}, nil
}
