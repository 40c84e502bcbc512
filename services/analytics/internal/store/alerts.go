package store

import (
	_ "embed"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/insert/alert_log.sql
var insertAlertsSQL string

// alerts is a block of alert_log.
type alerts struct {
	fingerprint, incident, window, inhibitedBy           *text
	version, minVolume, delivered, bounced, blocked      proto.ColUInt64
	rule, state, ended                                   *words
	labelKeys, labelValues                               *text
	labels, causes                                       *pairs
	causeKeys                                            *text
	causeCounts                                          proto.ColUInt64
	value, peak, threshold                               proto.ColFloat64
	reasonWords, reasonCauses                            *words
	reasonCounts                                         proto.ColUInt64
	reasonSamples                                        *text
	reasons                                              []*lists
	since, updatedAt, stateSince, resolvedAt, notifiedAt *moments
	owed                                                 proto.ColUInt16
	late                                                 proto.ColBool
	cols                                                 []clickhouse.Column
}

func newAlerts() *alerts {
	a := &alerts{
		fingerprint: new(text), incident: new(text), window: new(text), inhibitedBy: new(text), rule: newWords(), state: newWords(), ended: newWords(),
		labelKeys: new(text), labelValues: new(text), causeKeys: new(text),
		reasonWords: newWords(), reasonCauses: newWords(), reasonSamples: new(text),
		since: new(moments), updatedAt: new(moments), stateSince: newMaybeMoments(), resolvedAt: newMaybeMoments(), notifiedAt: newMaybeMoments(),
	}
	a.labels = &pairs{keys: a.labelKeys, values: a.labelValues}
	a.causes = &pairs{keys: a.causeKeys, values: &a.causeCounts}
	for _, items := range []items{a.reasonWords, a.reasonCauses, &a.reasonCounts, a.reasonSamples} {
		a.reasons = append(a.reasons, &lists{items: items})
	}
	a.cols = []clickhouse.Column{
		{Name: "fingerprint", Data: a.fingerprint}, {Name: "incident", Data: a.incident}, {Name: "version", Data: &a.version},
		{Name: "rule", Data: a.rule}, {Name: "labels", Data: a.labels}, {Name: "state", Data: a.state},
		{Name: "state_since", Data: a.stateSince}, {Name: "value", Data: &a.value}, {Name: "peak", Data: &a.peak},
		{Name: "threshold", Data: &a.threshold}, {Name: "min_volume", Data: &a.minVolume},
		{Name: "delivered", Data: &a.delivered}, {Name: "bounced", Data: &a.bounced}, {Name: "blocked", Data: &a.blocked},
		{Name: "causes", Data: a.causes},
		{Name: "reasons.reason", Data: a.reasons[0]}, {Name: "reasons.cause", Data: a.reasons[1]},
		{Name: "reasons.count", Data: a.reasons[2]}, {Name: "reasons.sample", Data: a.reasons[3]},
		{Name: "window", Data: a.window}, {Name: "since", Data: a.since}, {Name: "updated_at", Data: a.updatedAt},
		{Name: "resolved_at", Data: a.resolvedAt}, {Name: "ended", Data: a.ended}, {Name: "inhibited_by", Data: a.inhibitedBy},
		{Name: "notified_at", Data: a.notifiedAt}, {Name: "owed", Data: &a.owed}, {Name: "late", Data: &a.late},
	}
	return a
}

func (a *alerts) statement() string            { return insertAlertsSQL }
func (a *alerts) columns() []clickhouse.Column { return a.cols }

// append adds the alert of rec, or nothing and a *Fault. A record without a
// value only ends the compacted history of its key and is no row.
func (a *alerts) append(rec *kgo.Record) error {
	if len(rec.Value) == 0 {
		return nil
	}
	var al schemas.Alert
	if err := decode(rec.Value, &al); err != nil {
		return err
	}
	if al.Fingerprint == "" {
		return faultf(MissingField, "%q", "fingerprint")
	}
	if err := inRange("a time", al.Since, al.UpdatedAt, al.StateSince, al.ResolvedAt); err != nil {
		return err
	}
	a.add(&al)
	return nil
}

func (a *alerts) add(al *schemas.Alert) {
	a.fingerprint.Append([]byte(al.Fingerprint))
	a.incident.Append([]byte(al.Incident))
	a.version = append(a.version, count(al.Version))
	a.rule.Append([]byte(al.Rule))
	a.state.Append([]byte(al.State))
	a.value = append(a.value, al.Value)
	a.stateSince.AppendTime(al.StateSince)
	a.peak = append(a.peak, al.Peak)
	a.minVolume = append(a.minVolume, count(al.MinVolume))
	a.threshold = append(a.threshold, al.Threshold)
	a.delivered = append(a.delivered, count(al.Counts.Delivered))
	a.bounced = append(a.bounced, count(al.Counts.Bounced))
	a.blocked = append(a.blocked, count(al.Counts.Blocked))
	for _, key := range slices.Sorted(maps.Keys(al.Labels)) {
		a.labelKeys.Append([]byte(key))
		a.labelValues.Append([]byte(al.Labels[key]))
	}
	a.labels.close()
	for _, key := range slices.Sorted(maps.Keys(al.Causes)) {
		a.causeKeys.Append([]byte(key))
		a.causeCounts = append(a.causeCounts, count(al.Causes[key]))
	}
	a.causes.close()
	for _, r := range al.Reasons {
		a.reasonWords.Append([]byte(r.Reason))
		a.reasonCauses.Append([]byte(r.Cause))
		a.reasonCounts = append(a.reasonCounts, count(r.Count))
		a.reasonSamples.Append([]byte(r.Sample))
	}
	for _, list := range a.reasons {
		list.close()
	}
	a.window.Append([]byte(al.Window))
	a.since.AppendTime(al.Since)
	a.updatedAt.AppendTime(al.UpdatedAt)
	a.resolvedAt.AppendTime(al.ResolvedAt)
	a.ended.Append([]byte(al.Ended))
	a.inhibitedBy.Append([]byte(al.InhibitedBy))
	notified, owed := outbox(al.Notify)
	a.notifiedAt.AppendTime(notified)
	a.owed = append(a.owed, owed)
	a.late = append(a.late, al.Late)
}

// count makes a count of n, which is none below zero.
func count(n int64) uint64 { return uint64(max(n, 0)) }

// outbox returns when the first message was delivered and how many are owed.
func outbox(list []schemas.Notification) (first time.Time, owed uint16) {
	for _, n := range list {
		switch {
		case !n.SentAt.IsZero():
			if first.IsZero() || n.SentAt.Before(first) {
				first = n.SentAt
			}
		case n.Owed():
			owed++
		}
	}
	return first, owed
}

// inRange checks that SQL can hold the times; a zero time is none.
func inRange(name string, times ...time.Time) error {
	for _, t := range times {
		if ms := t.UnixMilli(); !t.IsZero() && (ms < timeMin || ms > timeMax) {
			return faultf(OutOfRange, "%s is not in 1970 to 2106", name)
		}
	}
	return nil
}

func asTypeError(err error) (*json.UnmarshalTypeError, bool) {
	return errors.AsType[*json.UnmarshalTypeError](err)
}
