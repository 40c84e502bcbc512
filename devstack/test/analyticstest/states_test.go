package analyticstest

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

func TestSuppressions_ShowTheLatestStateOfAnAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	at := func(n int) time.Time { return base().Add(time.Duration(n) * time.Minute) }
	publish := func(sup schemas.Suppression) {
		w.produce(t, &kgo.Record{Topic: "email.suppressions", Key: []byte(sup.Hash), Value: mustJSON(t, sup)})
	}
	hard := schemas.SuppressionEntry{Scope: schemas.ScopeAccount, Reason: schemas.SuppressHardBounce, AddedAt: at(1), Since: at(1), Evidence: "e-1", Provider: "mailjet", Source: "acme"}
	lifted := hard
	lifted.RemovedAt, lifted.RemovedBy = at(5), "api:7"
	expired := schemas.SuppressionEntry{Scope: "list:17", Reason: schemas.SuppressSoftBounce, AddedAt: at(2), ExpiresAt: at(3)}

	publish(schemas.Suppression{Hash: "aa", Address: "a@b.c", Entries: []schemas.SuppressionEntry{hard}, UpdatedAt: at(1)})
	publish(schemas.Suppression{Hash: "bb", Address: "b@b.c", Entries: []schemas.SuppressionEntry{hard, expired}, UpdatedAt: at(3)})
	publish(schemas.Suppression{Hash: "cc", Address: "c@b.c", Entries: []schemas.SuppressionEntry{hard}, UpdatedAt: at(1)})
	publish(schemas.Suppression{Hash: "dd", UpdatedAt: at(1)})
	w.wantSQL(t, "SELECT recipient_hash, scope, reason, active FROM suppressions ORDER BY ALL",
		"aa\taccount\thard_bounce\ttrue\nbb\taccount\thard_bounce\ttrue\nbb\tlist:17\tsoft_bounce\tfalse\ncc\taccount\thard_bounce\ttrue")

	publish(schemas.Suppression{Hash: "aa", Address: "a@b.c", Entries: []schemas.SuppressionEntry{lifted}, UpdatedAt: at(6)})
	w.produce(t, &kgo.Record{Topic: "email.suppressions", Key: []byte("cc")}) // erased
	w.wantSQL(t, "SELECT recipient_hash, active, removed_by FROM suppressions WHERE scope = 'account' ORDER BY ALL", "aa\tfalse\tapi:7\nbb\ttrue\t")
	if got := w.sql(t, "SELECT address, since, added_at, expires_at, evidence FROM suppressions WHERE recipient_hash = 'bb' AND active"); got != "b@b.c\t2026-11-20 10:01:00.000\t2026-11-20 10:01:00.000\t\\N\te-1" {
		t.Errorf("entry: %s", got)
	}
}

func TestAlerts_ShowTheLatestStateOfAnIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	alert := schemas.Alert{
		Fingerprint: "f1", Version: 1, Rule: "block_rate", Incident: "i1", Labels: map[string]string{"source": "acme", "recipient_domain": "x.de"},
		State: schemas.AlertFiring, Value: 0.75, Threshold: 0.6, Counts: schemas.AlertCounts{Delivered: 5, Blocked: 15},
		Causes: map[string]int64{"sender": 15}, Reasons: []schemas.ReasonCount{{Reason: schemas.Reputation, Cause: schemas.CauseSender, Count: 15}},
		Window: "15m0s", Since: base(), UpdatedAt: base(), Notify: []schemas.Notification{{Seq: 1, Kind: schemas.NotifyFiring, Receiver: "slack"}},
	}
	later := alert
	later.Version, later.State, later.ResolvedAt, later.Ended, later.Notify = 2, schemas.AlertResolved, base().Add(time.Hour), schemas.EndRecovered, nil
	next := alert
	next.Version, next.Incident, next.State = 3, "i2", schemas.AlertPending
	for _, a := range []schemas.Alert{alert, next, later} { // the order of a race
		w.produce(t, &kgo.Record{Topic: "email.alerts", Key: []byte(a.Fingerprint), Value: mustJSON(t, a)})
	}
	w.wantSQL(t, "SELECT incident, state, ended, owed, labels['recipient_domain'], causes['sender'], `reasons.reason`[1], blocked FROM alerts ORDER BY incident",
		"i1\tresolved\trecovered\t0\tx.de\t15\treputation\t15\ni2\tpending\t\t1\tx.de\t15\treputation\t15")
}

func TestDeadLetters_RepeatsCollapse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	dl := schemas.DeadLetter{ID: "d1", Time: base(), Service: "ingress", Reason: "not_json", Detail: "offset 3", Provider: "mailjet", Source: "acme", Bytes: []byte("\x00{\xff"), ReceivedAt: base()}
	again := dl
	again.Time = base().Add(time.Minute)
	bad := &kgo.Record{Topic: "email.bounced", Key: []byte("k"), Value: []byte(`{"id":`)}
	w.produce(t, &kgo.Record{Topic: "email.dead-letter", Value: mustJSON(t, dl)}, &kgo.Record{Topic: "email.dead-letter", Value: mustJSON(t, again)}, bad,
		&kgo.Record{Topic: "email.dead-letter", Value: []byte("not a dead letter")})
	w.wantSQL(t, "SELECT service, reason, hex(bytes) FROM dead_letters ORDER BY ALL",
		"analytics\tnot_json\t6E6F7420612064656164206C6574746572\nanalytics\tnot_json\t7B226964223A\ningress\tnot_json\t007BFF")
}

func TestAuditLog_HasEachEntryOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	entry := schemas.Audit{ID: "a", Time: base(), By: "ana", Role: "operator", Action: "suppression.lift", Object: "h", Note: "n"}
	look := schemas.Audit{ID: "b", Time: base().Add(time.Second), By: "bob", Role: "support", Action: "person.view", Object: "h"}
	for _, e := range []schemas.Audit{entry, look, entry} {
		w.produce(t, &kgo.Record{Topic: "email.audit", Key: []byte(e.ID), Value: mustJSON(t, e)})
	}
	w.produce(t, &kgo.Record{Topic: "email.audit", Key: []byte("c"), Value: []byte(`{"id":"c"}`)})
	w.wantSQL(t, "SELECT service, reason FROM dead_letters", "analytics\tmissing_field")
	w.wantSQL(t, "SELECT by, role, action, object, note, time FROM audit_log ORDER BY time",
		"ana\toperator\tsuppression.lift\th\tn\t2026-11-20 10:00:00.000\nbob\tsupport\tperson.view\th\t\t2026-11-20 10:00:01.000")
	w.wantSQL(t, "SELECT by, count() FROM audit_log GROUP BY by ORDER BY by", "ana\t1\nbob\t1")
}
