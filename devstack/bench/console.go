package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/devstack/stack"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/simulate"
)

const (
	consoleDays    = 30
	consoleKept    = 0.64 // of the numbers of weeks.sql, which thins out nights and weekends
	consoleViewers = 20
	// consolePace spaces the pages of the one viewer whose waits are measured, so that each
	// is asked for after the console's answers of the last time are old.
	consolePace = 700 * time.Millisecond
	// consoleLook is how long each of the 20 looks at a page, less than the 20 s after which
	// it asks by itself: they open a page every quarter of a second.
	consoleLook = 5 * time.Second
	// Inserts are watched for consoleSpan without viewers and then with them, consoleSpans
	// times: merges come and go, and the medians count. A span may have twice what another
	// has, and medians of five tell nothing below a fifth.
	consoleSpan  = 20 * time.Second
	consoleSpans = 15
	// consoleMerges bounds how long the merges of what was filled in are waited for: weeks
	// of mail that came in minutes are no state of a table that people look at.
	consoleMerges = 10 * time.Minute
	// consoleFirst is where the people and the ranges of the 20 begin: nobody asked for
	// them before.
	consoleFirst = 1000
)

// ConsoleOptions shape one run of Console. The zero value of a field takes its default.
type ConsoleOptions struct {
	// Events that are there before. Default 20,000,000.
	Events int
	// Rate of the traffic meanwhile, events a second. Default 2,000.
	Rate float64
	// Rounds is how often each page is opened. Default 10.
	Rounds int
	// Progress, when not nil, is called with each step as it ends.
	Progress func(line string)
}

// ConsoleReport is how long pages take while events arrive, and what pages cost those.
type ConsoleReport struct {
	Events    int
	Rate      float64                  // events a second that were accepted meanwhile
	Page      Spread                   // all pages
	P95       time.Duration            // of all pages
	Slowest   map[string]time.Duration // the p95 of each page
	Reference time.Duration            // one query that counts all events of a day
	Alone     time.Duration            // an insert without viewers, the median of the means of some spans
	Watched   time.Duration            // an insert with 20 viewers, likewise
}

// Cost is how much longer an insert takes with viewers.
func (r ConsoleReport) Cost() float64 { return r.Watched.Seconds() / r.Alone.Seconds() }

func (o ConsoleOptions) withDefaults() ConsoleOptions {
	if o.Events == 0 {
		o.Events = 20_000_000
	}
	if o.Rate == 0 {
		o.Rate = 2000
	}
	if o.Rounds == 0 {
		o.Rounds = 10
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// Console fills the tables of a whole stack, has events arrive, and opens the pages: one
// viewer for the time a page takes, 20 for what that costs the inserts. The calling
// program must be able to be the engine's child.
func Console(ctx context.Context, opt ConsoleOptions) (report ConsoleReport, err error) {
	opt = opt.withDefaults()
	d, stop, err := newDesk(ctx, opt)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if report.Events, err = d.fill(ctx); err != nil {
		return report, err
	}
	return report, d.measure(ctx, &report)
}

// desk is a stack whose pages are opened.
type desk struct {
	*prober
	opt    ConsoleOptions
	pages  []string // with what pageOf fills in
	people []string // hashes
	first  time.Time
}

// newDesk starts a stack in a folder of its own. The caller ends both by stop.
func newDesk(ctx context.Context, opt ConsoleOptions) (d *desk, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "mailstream-desk-")
	if err != nil {
		return nil, nil, err
	}
	s, err := stack.New(stack.Options{DataDir: dir, FreePorts: true, Log: zap.NewNop(), Progress: opt.Progress})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = func() error { cancel(); return errors.Join(<-done, os.RemoveAll(dir)) }
	select {
	case <-s.Ready():
		return &desk{prober: &prober{stack: s, next: probeFirstID}, opt: opt}, stop, nil
	case err := <-done:
		cancel()
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
}

// statement runs one of the files on the engine.
func (d *desk) statement(ctx context.Context, file string, words ...string) (string, error) {
	return askSQL(ctx, d.stack.ClickHouse(), "mailstream", file, words...)
}

// fill writes the events and the counts of their hours, which analytics would make final
// ten minutes later and hour by hour, within the engine.
func (d *desk) fill(ctx context.Context) (int, error) {
	first := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -consoleDays)
	d.first = first
	numbers := int(float64(d.opt.Events) / consoleDays / consoleKept)
	for day := range consoleDays {
		if _, err := d.statement(ctx, "weeks", "{{day}}", strconv.Itoa(day), "{{from}}", first.AddDate(0, 0, day).Format(clickHouseTime), "{{events}}", strconv.Itoa(numbers)); err != nil {
			return 0, err
		}
		d.opt.Progress(fmt.Sprintf("day %d of %d", day+1, consoleDays))
	}
	d.opt.Progress("the events are there")
	for day := range consoleDays + 1 { // some of the last day come after midnight
		for _, counts := range []string{"console_counts", "console_dimensions"} {
			if _, err := d.statement(ctx, counts, "{{from}}", first.AddDate(0, 0, day).Format(clickHouseTime)); err != nil {
				return 0, err
			}
		}
	}
	if _, err := d.statement(ctx, "console_seals"); err != nil {
		return 0, err
	}
	d.opt.Progress("the counts of their hours are final")
	if err := d.rest(ctx); err != nil {
		return 0, err
	}
	people, err := d.statement(ctx, "console_person")
	if err != nil {
		return 0, err
	}
	d.people = strings.Fields(people)
	d.pages = []string{
		"/", "/sources/mailjet", "/sources/acme", "/deliverability", "/deliverability?range=7d&by=domain", "/deliverability?range=30d&by=source", "/deliverability?by=campaign",
		"/incidents", "/people/{person}", "/suppressions", "/dead-letters", "/rules", "/deliverability?from={from}&to={to}&by=mailbox_provider", "/deliverability?from={from}&to={to}&by=domain",
	}
	count, err := d.statement(ctx, "drained_rows")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(count)
}

// rest waits for the merges of what was filled in.
func (d *desk) rest(ctx context.Context) error {
	end := time.Now().Add(consoleMerges)
	for time.Now().Before(end) {
		running, err := d.statement(ctx, "console_merges")
		if err != nil {
			return err
		}
		if running == "0" {
			d.opt.Progress("the tables are merged")
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Second):
		}
	}
	d.opt.Progress(fmt.Sprintf("the tables still merge after %s", consoleMerges))
	return nil
}

// measure opens pages and watches inserts while events arrive.
func (d *desk) measure(ctx context.Context, r *ConsoleReport) error {
	stopLoad := d.load(ctx)
	err := d.open(ctx, r)
	var alone, watched []time.Duration
	for i := 0; i < consoleSpans && err == nil; i++ {
		var a, w time.Duration
		if a, err = d.inserts(ctx); err == nil {
			w, err = d.watched(ctx, consoleFirst*(i+1))
		}
		alone, watched = append(alone, a), append(watched, w)
		d.opt.Progress(fmt.Sprintf("an insert %s, with %d viewers %s", a.Round(time.Millisecond), consoleViewers, w.Round(time.Millisecond)))
	}
	rate, ended := stopLoad()
	if err = errors.Join(err, ended); err != nil {
		return err
	}
	r.Rate, r.Alone, r.Watched = rate, spreadOf(alone).P50, spreadOf(watched).P50
	d.opt.Progress(fmt.Sprintf("pages p50 %s, p95 %s; an insert %s, with %d viewers %s", r.Page.P50, r.P95, r.Alone, consoleViewers, r.Watched))
	return err
}

// watched watches inserts while 20 viewers open pages, whose people and ranges begin at
// the number first.
func (d *desk) watched(ctx context.Context, first int) (time.Duration, error) {
	stay, leave := context.WithCancel(ctx)
	defer leave()
	viewers, all := errgroup.WithContext(stay)
	for i := range consoleViewers {
		viewers.Go(func() error { return d.view(all, i, first) })
	}
	took, err := d.inserts(all)
	leave()
	return took, errors.Join(viewers.Wait(), err)
}

// pageOf returns a page with the person and the range of a number.
func (d *desk) pageOf(page string, number int) string {
	from := d.first.Add(time.Duration(number*31%(20*24)) * time.Hour)
	to := from.Add(time.Duration(number%9+1) * 24 * time.Hour)
	return strings.NewReplacer("{person}", d.people[number%len(d.people)], "{from}", from.Format(time.RFC3339), "{to}", to.Format(time.RFC3339)).Replace(page)
}

// load has events arrive until stop, which returns how many a second were accepted.
func (d *desk) load(ctx context.Context) (stop func() (rate float64, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	var summary simulate.Summary
	ended := make(chan error, 1)
	go func() {
		var err error
		summary, err = simulate.Run(ctx, d.traffic(LatencyOptions{Rate: d.opt.Rate}.withDefaults()), io.Discard)
		ended <- err
	}()
	return func() (float64, error) {
		cancel()
		err := <-ended
		return float64(summary.Accepted) / summary.Took.Seconds(), err
	}
}

// open opens each page some times, as one viewer.
func (d *desk) open(ctx context.Context, r *ConsoleReport) error {
	var all []time.Duration
	each := map[string][]time.Duration{}
	for i := range d.opt.Rounds {
		for _, page := range d.pages {
			began := time.Now()
			if err := d.page(ctx, d.pageOf(page, i)); err != nil {
				return err
			}
			took := time.Since(began)
			all, each[page] = append(all, took), append(each[page], took)
			time.Sleep(max(0, consolePace-took))
		}
	}
	var reference []time.Duration
	for range d.opt.Rounds {
		began := time.Now()
		if _, err := d.statement(ctx, "console_scan"); err != nil {
			return err
		}
		reference = append(reference, time.Since(began))
	}
	r.Page, r.P95, r.Reference = spreadOf(all), p95(all), spreadOf(reference).P50
	r.Slowest = map[string]time.Duration{}
	for page, list := range each {
		r.Slowest[page] = p95(list)
		d.opt.Progress(fmt.Sprintf("%-40.40s p95 %s", page, r.Slowest[page].Round(time.Millisecond)))
	}
	return nil
}

func p95(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)*95/100]
}

// view opens pages until ctx is done, as a viewer who stays. A page that fails is an
// error: viewers who left would make inserts look cheap.
func (d *desk) view(ctx context.Context, viewer, first int) error {
	pause := consoleLook * time.Duration(viewer) / consoleViewers // they do not come together
	for i := viewer; ctx.Err() == nil; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
			pause = consoleLook
		}
		if err := d.page(ctx, d.pageOf(d.pages[i%len(d.pages)], first+i*consoleViewers+viewer)); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (d *desk) page(ctx context.Context, page string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.stack.URL(pipeline.Console)+page, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	text, err := io.ReadAll(resp.Body)
	_, missing, cut := strings.Cut(string(text), "Not all is shown")
	if err == nil && (resp.StatusCode != http.StatusOK || cut) {
		err = fmt.Errorf("open page %s: %d, missing: %.200s", page, resp.StatusCode, missing)
	}
	return err
}

// inserts returns the mean time of the inserts within some seconds.
func (d *desk) inserts(ctx context.Context) (time.Duration, error) {
	sum, count, err := d.inserted(ctx)
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(consoleSpan):
	}
	sumThen, countThen, err := d.inserted(ctx)
	if err != nil || countThen == count {
		return 0, errors.Join(err, errors.New("watch inserts: there was none"))
	}
	return time.Duration((sumThen - sum) / (countThen - count) * float64(time.Second)), nil
}

// inserted reads how long all inserts of analytics took, and how many there were.
func (d *desk) inserted(ctx context.Context) (sum, count float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.stack.MetricsURL(pipeline.Analytics), nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	text, err := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case strings.HasPrefix(name, "mailstream_clickhouse_insert_duration_seconds_sum"):
			sum, err = strconv.ParseFloat(value, 64)
		case strings.HasPrefix(name, "mailstream_clickhouse_insert_duration_seconds_count"):
			count, err = strconv.ParseFloat(value, 64)
		}
	}
	return sum, count, err
}
