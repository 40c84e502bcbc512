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

	Person  Story // of 400 days
	Message Story
	Funnel  Story
	Rates   Story // of 30 days
}

// Story is one question, asked of its view and of all events.
type Story struct {
	Question string
	P95      time.Duration // of the view
	Rows     int           // that ClickHouse reads for it
	Scan     time.Duration // the median of the same question to event_log without an index
	Scanned  int           // rows that read
}

// storyQuestion is asked of a view, as docs/sql.md has it, and of all events. Both
// answers are the same.
type storyQuestion struct{ name, ask, scan string }

// withoutIndex makes a scan of a question to event_log.
const withoutIndex = " SETTINGS use_skip_indexes = 0"

func personQuestion(hash string) storyQuestion {
	const columns, rest = "SELECT time, type, message_id FROM ", " ORDER BY ALL"
	where := " WHERE recipient_hash = '" + hash + "'"
	return storyQuestion{"story of a person", columns + "person_messages" + where + rest, columns + "event_log FINAL" + where + rest + withoutIndex}
}

func messageQuestion(id string) storyQuestion {
	const columns, rest = "SELECT time, type FROM ", " ORDER BY ALL"
	return storyQuestion{"story of a message", columns + "message_story(message_id = '" + id + "')" + rest, columns + "event_log FINAL WHERE message_id = '" + id + "'" + rest + withoutIndex}
}

func funnelQuestion(campaign string) storyQuestion {
	where := " WHERE campaign = '" + campaign + "'"
	return storyQuestion{
		"funnel of a campaign", "SELECT count(), countIf(delivered IS NOT NULL), countIf(first_open IS NOT NULL), countIf(first_click IS NOT NULL) FROM campaign_messages" + where,
		"SELECT uniqExact(message_id), uniqExactIf(message_id, type = 'delivered'), uniqExactIf(message_id, type = 'opened'), uniqExactIf(message_id, type = 'clicked') FROM event_log" + where + withoutIndex,
	}
}

// ratesQuestion ends a day before now, so that what arrives meanwhile changes no answer.
func ratesQuestion(today time.Time) storyQuestion {
	between := " >= '" + today.AddDate(0, 0, -consoleDays).Format(clickHouseTime) + "' AND %s < '" + today.AddDate(0, 0, -1).Format(clickHouseTime) + "' GROUP BY ALL ORDER BY ALL"
	return storyQuestion{
		"rates of 30 days", "SELECT toDate(hour) AS day, type, sum(events) FROM rates_1h WHERE hour" + fmt.Sprintf(between, "hour"),
		"SELECT toDate(time) AS day, type, count() FROM event_log WHERE time" + fmt.Sprintf(between, "time") + withoutIndex,
	}
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
		storyQuestion
		to *Story
	}{
		{personQuestion(storiesPerson), &report.Person},
		{messageQuestion(campaign[2]), &report.Message},
		{funnelQuestion(campaign[0]), &report.Funnel},
		{ratesQuestion(today), &report.Rates},
	} {
		if *q.to, err = d.story(ctx, q.storyQuestion); err != nil {
			break
		}
		opt.Progress(fmt.Sprintf("%-22s p95 %s, %d rows; by a scan %s, %d rows", q.name, q.to.P95, q.to.Rows, q.to.Scan, q.to.Scanned))
	}
	rate, ended := stopLoad()
	report.Rate = rate
	return report, errors.Join(err, ended)
}

// story asks one question of its view, and then of all events.
func (d *desk) story(ctx context.Context, q storyQuestion) (Story, error) {
	s := Story{Question: q.name}
	var took, scans []time.Duration
	var answer string
	for range 2 * d.opt.Rounds {
		began := time.Now()
		got, rows, err := d.rowsRead(ctx, q.ask)
		if err != nil {
			return s, err
		}
		answer, s.Rows = got, max(s.Rows, rows)
		took = append(took, time.Since(began))
	}
	for range storyReferences {
		began := time.Now()
		got, rows, err := d.rowsRead(ctx, q.scan)
		if err != nil {
			return s, err
		}
		if got != answer {
			return s, fmt.Errorf("%s: the view says\n%.500s\nand a scan says\n%.500s", q.name, answer, got)
		}
		s.Scanned = rows
		scans = append(scans, time.Since(began))
	}
	s.P95, s.Scan = p95(took), spreadOf(scans).P50
	return s, nil
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
		err = fmt.Errorf("ask %q: %s: %.500s", query, resp.Status, text)
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
