package evaluator

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/route"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

// add puts a further receiver beside that of the bench.
func (b *bench) add(name string) {
	met := outbox.NewMetrics(prometheus.NewRegistry(), name)
	b.e.opt.Receivers = append(b.e.opt.Receivers, outbox.New(name, nobody{}, zap.NewNop(), met))
}

// sent notes that all messages of d were taken at the time of the bench.
func (b *bench) sent(d *draft) {
	d.alert.Notify = slices.Clone(d.alert.Notify)
	for i := range d.alert.Notify {
		if n := &d.alert.Notify[i]; n.Owed() {
			n.SentAt, n.Facts = b.now, nil
		}
	}
}

func TestTellRepeat_SaysFromTimeToTimeThatItLasts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.add("mail")
	b.e.opt.Routes = []route.Route{{Receivers: []string{"slack"}, Continue: true}, {Receivers: []string{"mail"}, Repeat: 6 * time.Hour}}
	d := &draft{event: rule.Fired, alert: schemas.Alert{State: schemas.AlertFiring, Since: b.now, UpdatedAt: b.now, Incident: "inc-1"}}
	b.e.tellFiring(d, nil)
	b.sent(d)
	said, seqs := map[string]int{}, map[int]bool{}
	for range 24 * 60 { // a day, minute by minute
		b.now = b.now.Add(time.Minute)
		next := &draft{alert: d.alert}
		next.alert.UpdatedAt = b.now
		if b.e.tellRepeat(next, b.now); next.write {
			for _, n := range next.alert.Notify {
				if n.Owed() {
					if seqs[n.Seq] {
						t.Fatalf("number %d is used twice", n.Seq)
					}
					seqs[n.Seq] = true
					said[n.Receiver+" "+n.Kind]++
				}
			}
			b.sent(next)
			d = next
		}
	}
	if diff := cmp.Diff(map[string]int{"slack repeat": 24, "mail repeat": 4}, said); diff != "" {
		t.Errorf("said in a day (-want +got):\n%s", diff)
	}
	if len(d.alert.Notify) != 4 { // beginning and last repeat of each
		t.Errorf("the record has %d messages: %+v", len(d.alert.Notify), d.alert.Notify)
	}
	end := &draft{event: rule.Resolved, alert: d.alert}
	b.e.tellResolved(end)
	if owed := slices.DeleteFunc(end.alert.Notify, func(n schemas.Notification) bool { return !n.Owed() }); len(owed) != 2 {
		t.Errorf("%d hear the end, want both: %+v", len(owed), owed)
	}
}

func TestTellRepeat_IsSilentWhileNothingCanBeSaid(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*schemas.Alert){
		"recovering":   func(a *schemas.Alert) { a.State = schemas.AlertRecovering },
		"acknowledged": func(a *schemas.Alert) { a.Acknowledged = &schemas.AlertAck{} },
		"late":         func(a *schemas.Alert) { a.Late = true },
		"no traffic":   func(a *schemas.Alert) { a.NoTraffic = &schemas.AlertNoTraffic{} },
		"covered":      func(a *schemas.Alert) { a.InhibitedBy = "other" },
		"still owed": func(a *schemas.Alert) {
			a.Notify = append(a.Notify, schemas.Notification{Seq: 2, Kind: schemas.NotifyNoTraffic, Receiver: "slack", QueuedAt: a.Since})
		},
		"never heard": func(a *schemas.Alert) { a.Notify = nil },
	} {
		b := newBench(t)
		since := b.now.Add(-48 * time.Hour)
		d := &draft{alert: schemas.Alert{State: schemas.AlertFiring, Since: since, Notify: []schemas.Notification{
			{Seq: 1, Kind: schemas.NotifyFiring, Receiver: "slack", QueuedAt: since, SentAt: since},
		}}}
		change(&d.alert)
		if b.e.tellRepeat(d, b.now); d.write {
			t.Errorf("%s: %+v", name, d.alert.Notify)
		}
	}
}

func TestFailure_IsARefusalAtOnceAndAnOutageAfterAWhile(t *testing.T) {
	t.Parallel()
	now := time.Now()
	owed := func(n schemas.Notification) []schemas.Alert {
		n.Receiver = "slack"
		return []schemas.Alert{{}, {Notify: []schemas.Notification{n}}}
	}
	for _, tt := range []struct {
		name string
		all  []schemas.Alert
		want string
	}{
		{"nothing owed", nil, ""},
		{"not tried yet", owed(schemas.Notification{QueuedAt: now.Add(-time.Hour)}), ""},
		{"refused", owed(schemas.Notification{QueuedAt: now, LastAnswer: "no_service", Refused: true}), "no_service"},
		{"away for a moment", owed(schemas.Notification{QueuedAt: now.Add(-time.Minute), LastAnswer: "timeout"}), ""},
		{"away for long", owed(schemas.Notification{QueuedAt: now.Add(-6 * time.Minute), LastAnswer: "timeout"}), "timeout"},
		{"taken", owed(schemas.Notification{QueuedAt: now.Add(-time.Hour), SentAt: now, LastAnswer: "timeout", Refused: true}), ""},
		{"given up", owed(schemas.Notification{QueuedAt: now.Add(-time.Hour), Failed: "timeout", LastAnswer: "timeout"}), ""},
	} {
		if answer, failing := failure(tt.all, "slack", now); answer != tt.want || failing != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", tt.name, answer, failing, tt.want)
		}
		if answer, failing := failure(tt.all, "other", now); failing {
			t.Errorf("%s: another receiver fails with %q", tt.name, answer)
		}
	}
}

func TestJudgeReceiver_OtherReceiversHearOnceAndTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	refused := []schemas.Alert{{Notify: []schemas.Notification{{Receiver: "slack", QueuedAt: b.now, LastAnswer: "no_service", Refused: true}}}}
	if d := b.e.judgeReceiver(refused, "slack", b.now); d != nil {
		t.Fatalf("without another receiver: %+v", d.alert)
	}
	b.add("mail")
	d := b.e.judgeReceiver(refused, "slack", b.now)
	if d == nil || len(d.alert.Notify) != 1 || d.alert.Notify[0].Receiver != "mail" || d.alert.Answer != "no_service" || d.alert.Notify[0].Facts.Answer != "no_service" {
		t.Fatalf("began: %+v", d)
	}
	b.sent(d)
	b.put(&d.alert)
	if d := b.e.judgeReceiver(refused, "slack", b.now.Add(time.Minute)); d != nil {
		t.Fatalf("said twice: %+v", d.alert)
	}
	if d := b.e.judgeReceiver(refused, "slack", b.now.Add(time.Hour)); d == nil || d.alert.Notify[1].Kind != schemas.NotifyRepeat {
		t.Fatalf("after an hour: %+v", d)
	}
	at := b.now.Add(2 * time.Hour)
	taken := []schemas.Alert{{Notify: []schemas.Notification{{Receiver: "slack", QueuedAt: b.now, SentAt: at}}}}
	for all, want := range map[*[]schemas.Alert]schemas.AlertEnd{&taken: schemas.EndRecovered, {}: schemas.EndNoTraffic} {
		d := b.e.judgeReceiver(*all, "slack", at)
		if d == nil || d.event != rule.Resolved || d.alert.Ended != want || !d.alert.Notify[len(d.alert.Notify)-1].Owed() {
			t.Fatalf("ended: %+v, want %s", d, want)
		}
	}
}
