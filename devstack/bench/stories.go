package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// storiesPerson is the hash of the person who was written to on each day of 400.
const storiesPerson = "00000000000000000000000000000001"

// storyReferences is how often a scan is run: one takes seconds, and they differ little.
const storyReferences = 3

// StoriesReport is how long questions of an analyst take while events arrive.
type StoriesReport struct {
	Events   int     // that are there before
	Rate     float64 // events a second that were accepted meanwhile
	Messages int     // of the campaign of Funnel

	Person    Story // of 400 days
	Message   Story
	Funnel    Story
	Rates     Story // of 30 days
	Campaigns Story // rates by campaign of 30 days
}

// Story is one question, asked of its view and of all events.
type Story struct {
	Question string
	P95      time.Duration // of the view
	Rows     int           // that ClickHouse reads for it
	Scan     time.Duration // the median of the same question to event_log without an index
	Scanned  int           // rows that read
}

// Stories fills the tables of a whole stack, has events arrive, and asks what analysts
// ask. The calling program must be able to be the engine's child.
func Stories(ctx context.Context, opt ConsoleOptions) (report StoriesReport, err error) {
	opt = opt.withDefaults()
	d, stop, err := newDesk(ctx, opt)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for first := 0; first < 400; first += 100 {
		if _, err := d.statement(ctx, "stories_person", "{{first}}", strconv.Itoa(first), "{{today}}", today.Format(clickHouseTime), "{{person}}", storiesPerson); err != nil {
			return report, err
		}
	}
	if report.Events, err = d.fill(ctx); err != nil {
		return report, err
	}
	line, err := d.statement(ctx, "stories_campaign")
	if err != nil {
		return report, err
	}
	campaign := strings.Split(line, "\t")
	if len(campaign) != 3 {
		return report, fmt.Errorf("find a campaign: %q", line)
	}
	if report.Messages, err = strconv.Atoi(campaign[1]); err != nil {
		return report, fmt.Errorf("find a campaign: %w", err)
	}
	stopLoad := d.load(ctx)
	for _, q := range []struct {
		name, file, value string
		to                *Story
	}{
		{"story of a person", "story_person", storiesPerson, &report.Person},
		{"story of a message", "story_message", campaign[2], &report.Message},
		{"funnel of a campaign", "story_funnel", campaign[0], &report.Funnel},
		{"rates of 30 days", "story_rates", today.Format(clickHouseTime), &report.Rates},
		{"rates by campaign, 30 days", "story_campaigns", today.Format(clickHouseTime), &report.Campaigns},
	} {
		q.to.Question = q.name
		if err = d.story(ctx, q.file, q.value, q.to); err != nil {
			break
		}
		opt.Progress(fmt.Sprintf("%-22s p95 %s, %d rows; by a scan %s, %d rows", q.name, q.to.P95, q.to.Rows, q.to.Scan, q.to.Scanned))
	}
	rate, ended := stopLoad()
	report.Rate = rate
	return report, errors.Join(err, ended)
}

// story asks what a file asks of value, and then its scan, which answers the same.
func (d *desk) story(ctx context.Context, file, value string, s *Story) error {
	ask := func(file string, times int) (answer string, rows int, took []time.Duration, err error) {
		text, err := drainSQL.ReadFile("sql/" + file + ".sql")
		if err != nil {
			return "", 0, nil, fmt.Errorf("open statement: %w", err)
		}
		query := strings.ReplaceAll(string(text), "{{value}}", value)
		for range times {
			began := time.Now()
			got, read, err := d.rowsRead(ctx, query)
			if err != nil {
				return "", 0, nil, fmt.Errorf("run %s.sql: %w", file, err)
			}
			answer, rows, took = got, max(rows, read), append(took, time.Since(began))
		}
		return answer, rows, took, nil
	}
	answer, rows, took, err := ask(file, 2*d.opt.Rounds)
	if err != nil {
		return err
	}
	scanned, scannedRows, scans, err := ask(file+"_scan", storyReferences)
	if err != nil {
		return err
	}
	if scanned != answer {
		return fmt.Errorf("%s: the view says\n%.500s\nand a scan says\n%.500s", s.Question, answer, scanned)
	}
	s.P95, s.Rows, s.Scan, s.Scanned = p95(took), rows, spreadOf(scans).P50, scannedRows
	return nil
}

// rowsRead runs query and returns its answer and how many rows ClickHouse read for it.
func (d *desk) rowsRead(ctx context.Context, query string) (answer string, rows int, err error) {
	values := url.Values{"database": {"mailstream"}, "wait_end_of_query": {"1"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.stack.ClickHouse()+"/?"+values.Encode(), strings.NewReader(query))
	if err != nil {
		return "", 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.500s", resp.Status, text)
	}
	if err != nil {
		return "", 0, err
	}
	var summary struct {
		ReadRows int `json:"read_rows,string"`
	}
	if err := json.Unmarshal([]byte(resp.Header.Get("X-ClickHouse-Summary")), &summary); err != nil {
		return "", 0, fmt.Errorf("read X-ClickHouse-Summary: %w", err)
	}
	return string(text), summary.ReadRows, nil
}
