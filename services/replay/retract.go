package replay

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/retract
var retractFiles embed.FS

// retract counts the messages anew whose events are of another type or of another
// machine today: a state of minima and sets forgets nothing by itself. What is published
// afterwards is added to it. It goes before that, and drop after it, so that a run that
// is killed in between finds the same events to do once more.
func (r *Replay) retract(ctx context.Context, changed []pair, expand func(string) string) error {
	var messages, versions []string
	for i := range changed {
		was := changed[i].was
		if was.MessageID == "" {
			continue
		}
		messages = append(messages, was.MessageID)
		versions = append(versions, fmt.Sprintf("%s %s %t", was.ID, was.Type, was.Machine != nil && *was.Machine))
	}
	if len(messages) == 0 {
		return nil
	}
	slices.Sort(messages)
	of := clickhouse.Arg("messages", clickhouse.Words(slices.Compact(messages)))
	var span []struct {
		From int64 `ch:"from"`
		To   int64 `ch:"to"`
	}
	if err := r.deps.Store.Select(ctx, &span, retractSQL("span"), of); err != nil {
		return fmt.Errorf("find the time of %d messages: %w", len(messages), err)
	}
	if len(span) == 0 || span[0].To == 0 {
		return nil // there is none
	}
	var rows []struct {
		Hash string `ch:"hash"`
	}
	if err := r.deps.Store.Select(ctx, &rows, retractSQL("campaign_hashes"), of); err != nil {
		return fmt.Errorf("find the hashes of %d messages: %w", len(messages), err)
	}
	hashes := make([]string, len(rows))
	for i := range rows {
		hashes[i] = rows[i].Hash
	}
	args := []any{
		of, clickhouse.Arg("hashes", clickhouse.Words(hashes)), clickhouse.Arg("versions", clickhouse.Words(versions)),
		clickhouse.Arg("from", strconv.FormatInt(span[0].From, 10)), clickhouse.Arg("to", strconv.FormatInt(span[0].To, 10)),
	}
	for _, name := range []string{"campaign_state_delete", "messages_state_delete", "messages_state", "campaign_state"} {
		if err := r.deps.Store.Exec(ctx, expand(retractSQL(name)), args...); err != nil {
			return fmt.Errorf("count %d messages anew: %s: %w", len(messages), name, err)
		}
	}
	return nil
}

func retractSQL(name string) string {
	text, err := retractFiles.ReadFile("sql/retract/" + name + ".sql")
	if err != nil { // a test runs all of them
		panic("read embedded SQL: " + err.Error())
	}
	return string(text)
}

// drop takes events off the tables that have another type today: their new rows have
// another key, so that no merge would do it. Both are acknowledged by Kafka by now.
func (r *Replay) drop(ctx context.Context, gone []pair, expand func(string) string) error {
	if len(gone) == 0 {
		return nil
	}
	var ids, hashes, hours []string
	from, to := gone[0].was.Time, gone[0].was.Time
	for i := range gone {
		was := gone[i].was
		ids, hashes = append(ids, was.ID), append(hashes, was.RecipientHash)
		from, to = earliest(from, was.Time), latest(to, was.Time)
		hours = append(hours, was.Time.UTC().Truncate(time.Hour).Format("2006-01-02 15:04:05"))
	}
	slices.Sort(hours)
	args := []any{
		clickhouse.Arg("ids", clickhouse.Words(ids)), clickhouse.Arg("hashes", clickhouse.Words(hashes)),
		clickhouse.Arg("from", stamp(from)), clickhouse.Arg("to", stamp(to)),
	}
	for _, query := range []string{retractSQL("person_log_delete"), dropSQL} {
		if err := r.deps.Store.Exec(ctx, expand(query), args...); err != nil {
			return fmt.Errorf("drop %d events of another type: %w", len(ids), err)
		}
	}
	if err := r.deps.Store.Exec(ctx, touchSQL, clickhouse.Arg("hours", clickhouse.Words(slices.Compact(hours)))); err != nil {
		return fmt.Errorf("count %d hours anew: %w", len(hours), err)
	}
	return nil
}
