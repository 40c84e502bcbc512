package analyticstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
)

// TestEngagement_IsOfPeopleAndExplainsItself has people who click, whose machine
// opens, who complain, and who only get mail.
func TestEngagement_IsOfPeopleAndExplainsItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	today := time.Now().UTC().Truncate(time.Millisecond)
	yes := true
	ago := func(person int, typ schemas.Type, days int) schemas.Event {
		e := eventAt(person*100+days, typ, today.AddDate(0, 0, -days))
		e.RecipientHash = fmt.Sprintf("%032x", person)
		return e
	}
	machine := ago(2, schemas.Opened, 1)
	machine.Machine = &yes
	events := []schemas.Event{
		// Clicked half a life ago, opened a whole life ago, and got one message since.
		ago(1, schemas.Processed, 31), ago(1, schemas.Delivered, 31), ago(1, schemas.Opened, 30), ago(1, schemas.Clicked, 15), ago(1, schemas.Processed, 10),
		ago(2, schemas.Processed, 100), ago(2, schemas.Delivered, 1), machine, // no act of a person
		ago(3, schemas.Clicked, 100), ago(3, schemas.Complained, 99), ago(3, schemas.Clicked, 1), // left
		ago(4, schemas.Unsubscribed, 50), ago(4, schemas.Subscribed, 40), ago(4, schemas.Opened, 35), // came back
		ago(5, schemas.Clicked, 120), ago(6, schemas.Clicked, 200),
	}
	for range 2 { // repeats change nothing
		w.publish(t, events...)
	}
	const ask = "SELECT toUInt64(reinterpretAsUInt8(unhex(right(recipient_hash, 2)))) AS person, round(score, 2), tier, dateDiff('day', last_act, now()), sent_90d, sent_since_last_act, arrayMap(a -> (a.type, round(a.points, 2)), because) FROM engagement ORDER BY person"
	w.wantSQL(t, ask, ""+
		"1\t0.83\tactive\t15\t2\t1\t[('clicked',0.71),('opened',0.12)]\n"+
		"2\t0\tnever\t\\N\t1\t2\t[]\n"+
		"3\t0\tleft\t1\t0\t0\t[]\n"+
		"4\t0.11\tcooling\t35\t0\t0\t[('opened',0.11)]\n"+
		"5\t0.06\tdormant\t120\t0\t0\t[('clicked',0.06)]\n"+
		"6\t0.01\tlapsed\t200\t0\t0\t[('clicked',0.01)]")

	// Other weights take effect with the next migration.
	w.cfg.Analytics.Engagement.HalfLife = 15 * 24 * time.Hour
	w.cfg.Analytics.Engagement.Click = 2
	for range 2 {
		if err := pipeline.MigrateTables(t.Context(), w.cfg, logger(t)); err != nil {
			t.Fatal(err)
		}
	}
	w.wantSQL(t, "SELECT round(score, 2) FROM engagement WHERE recipient_hash LIKE '%01'", "1.06")
	w.cfg.Analytics.Engagement.Sources = []string{"other"}
	if err := pipeline.MigrateTables(t.Context(), w.cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
	w.wantSQL(t, "SELECT count() FROM engagement", "0")
}
