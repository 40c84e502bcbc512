package replay

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/retract
var retractFiles embed.FS

// retract counts the messages anew whose events are of another type or of another
// machine today: a state of minima and sets forgets nothing by itself. What is published
// afterwards is added to it. It goes before that, and drop after it, so that a run that
// is killed in between finds the same events to do once more.
//
// Messages of which some events have expired stay as they are counted, with what is
// published added: it returns how many.
func (r *Replay) retract(ctx context.Context, changed []pair, expand func(string) string) (expired int64, err error) {
	of := messagesOf(changed)
	if len(of.messages) == 0 {
		return 0, nil
	}
	of.versions = append(of.versions, r.unsettled(of.messages)...)
	r.settling = append(r.settling, correctedOf(changed))
	r.settling = r.settling[max(0, len(r.settling)-settlingPages):]
	if err := r.span(ctx, &of); err != nil {
		return 0, err
	}
	var gone []struct {
		Message string `ch:"message_id"`
	}
	if err := r.deps.Store.Select(ctx, &gone, retractSQL("expired"), of.args()...); err != nil {
		return 0, fmt.Errorf("look for what has expired of %d messages: %w", len(of.messages), err)
	}
	for _, g := range gone {
		of.messages = slices.DeleteFunc(of.messages, func(m string) bool { return m == g.Message })
	}
	if len(of.messages) == 0 {
		return int64(len(gone)), nil
	}
	hashes, err := r.hashes(ctx, "campaign_hashes", of.args()...)
	if err != nil {
		return 0, err
	}
	args := append(of.args(), clickhouse.Arg("hashes", clickhouse.Words(hashes)))
	for _, name := range []string{"campaign_state_delete", "day_state_delete", "messages_state_delete", "messages_state", "campaign_state", "day_state"} {
		if err := r.deps.Store.Exec(ctx, expand(retractSQL(name)), args...); err != nil {
			return 0, fmt.Errorf("count %d messages anew: %s: %w", len(of.messages), name, err)
		}
	}
	return int64(len(gone)), nil
}

// recount is what is counted anew.
type recount struct {
	messages []string
	people   []string // of the messages
	versions []string // of events, which are no longer true
	from, to int64    // when the events of the messages are, in Unix milliseconds
}

// messagesOf returns what has to be counted anew for the changed events.
func messagesOf(changed []pair) recount {
	var out recount
	for i := range changed {
		was := changed[i].was
		if was.MessageID == "" {
			continue
		}
		at := was.Time.UnixMilli()
		if len(out.messages) == 0 {
			out.from, out.to = at, at
		}
		out.from, out.to = min(out.from, at), max(out.to, at)
		out.messages, out.people = append(out.messages, was.MessageID), append(out.people, was.RecipientHash)
		out.versions = append(out.versions, version(was))
	}
	slices.Sort(out.messages)
	out.messages = slices.Compact(out.messages)
	return out
}

// corrected is an event as it counted in its message.
type corrected struct{ message, version string }

func correctedOf(changed []pair) []corrected {
	out := make([]corrected, 0, len(changed))
	for i := range changed {
		if was := changed[i].was; was.MessageID != "" {
			out = append(out, corrected{was.MessageID, version(was)})
		}
	}
	return out
}

// settlingPages is how many pages of corrections are remembered: 100,000 events, some 20 MiB
// of ids. Each takes half a second at least to count anew, so that analytics may be most
// of a minute behind.
const settlingPages = 100

// unsettled returns the versions of events of the messages that pages of before corrected.
// They are in event_log until analytics has stored what was published, and must not be
// counted with the other events of their message.
func (r *Replay) unsettled(messages []string) []string {
	var versions []string
	for _, page := range r.settling {
		for _, c := range page {
			if _, again := slices.BinarySearch(messages, c.message); again {
				versions = append(versions, c.version)
			}
		}
	}
	return versions
}

// version names an event as it counts in its message.
func version(e *schemas.Event) string {
	return fmt.Sprintf("%s %s %t", e.ID, e.Type, e.Machine != nil && *e.Machine)
}

// span widens from and to to all events of the messages.
func (r *Replay) span(ctx context.Context, of *recount) error {
	var spans []struct {
		From int64 `ch:"from"`
		To   int64 `ch:"to"`
	}
	if err := r.deps.Store.Select(ctx, &spans, retractSQL("span"), of.args()...); err != nil {
		return fmt.Errorf("find the time of %d messages: %w", len(of.messages), err)
	}
	for _, s := range spans {
		of.from, of.to = min(of.from, s.From), max(of.to, s.To)
	}
	return nil
}

func (of recount) args() []any {
	return []any{
		clickhouse.Arg("messages", clickhouse.Words(of.messages)), clickhouse.Arg("people", clickhouse.Words(of.people)),
		clickhouse.Arg("versions", clickhouse.Words(of.versions)),
		clickhouse.Arg("from", strconv.FormatInt(of.from, 10)), clickhouse.Arg("to", strconv.FormatInt(of.to, 10)),
	}
}

// hashes asks what a table calls its rows, which a statement after it is given by value.
func (r *Replay) hashes(ctx context.Context, name string, args ...any) ([]string, error) {
	var rows []struct {
		Hash string `ch:"hash"`
	}
	if err := r.deps.Store.Select(ctx, &rows, retractSQL(name), args...); err != nil {
		return nil, fmt.Errorf("find hashes: %s: %w", name, err)
	}
	hashes := make([]string, len(rows))
	for i := range rows {
		hashes[i] = rows[i].Hash
	}
	return hashes, nil
}

func retractSQL(name string) string {
	text, err := retractFiles.ReadFile("sql/retract/" + name + ".sql")
	if err != nil { // a test runs all of them
		panic("read embedded SQL: " + err.Error())
	}
	return string(text)
}

// drop takes events off the tables that have another type today: their new rows have
// another key, so that no merge would do it. Both are acknowledged by Kafka by now. The
// hours count anew from before on, too: a run that is killed behind the deletion finds
// nothing to do any more.
func (r *Replay) drop(ctx context.Context, gone []pair, expand func(string) string) error {
	if len(gone) == 0 {
		return nil
	}
	var ids, newIDs, newTypes, hashes, hours []string
	from, to := gone[0].was.Time, gone[0].was.Time
	for i := range gone {
		was := gone[i].was
		ids, hashes = append(ids, was.ID), append(hashes, was.RecipientHash)
		newIDs, newTypes = append(newIDs, gone[i].is.ID), append(newTypes, string(gone[i].is.Type))
		from, to = earliest(from, was.Time), latest(to, was.Time)
		hours = append(hours, was.Time.UTC().Truncate(time.Hour).Format("2006-01-02 15:04:05"))
	}
	slices.Sort(hours)
	hours = slices.Compact(hours)
	args := []any{
		clickhouse.Arg("ids", clickhouse.Words(ids)), clickhouse.Arg("new_ids", clickhouse.Words(newIDs)), clickhouse.Arg("new_types", clickhouse.Words(newTypes)),
		clickhouse.Arg("hashes", clickhouse.Words(hashes)),
		clickhouse.Arg("from", stamp(from)), clickhouse.Arg("to", stamp(to)),
	}
	events, err := r.hashes(ctx, "receipt_log_events", args...)
	if err != nil {
		return err
	}
	args = append(args, clickhouse.Arg("events", "["+strings.Join(events, ",")+"]"))
	if err := r.touch(ctx, hours); err != nil {
		return err
	}
	for _, query := range []string{retractSQL("receipt_log_move"), retractSQL("receipt_log_delete"), retractSQL("person_log_delete"), dropSQL} {
		if err := r.deps.Store.Exec(ctx, expand(query), args...); err != nil {
			return fmt.Errorf("drop %d events of another type: %w", len(ids), err)
		}
	}
	return r.touch(ctx, hours)
}

// touch has hours counted anew that were sealed.
func (r *Replay) touch(ctx context.Context, hours []string) error {
	if err := r.deps.Store.Exec(ctx, touchSQL, clickhouse.Arg("hours", clickhouse.Words(hours))); err != nil {
		return fmt.Errorf("count %d hours anew: %w", len(hours), err)
	}
	return nil
}
