package evaluator

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// nobody is a receiver that is never called.
type nobody struct{}

func (nobody) Deliver(context.Context, []outbox.Notice) error { return nil }

// bench is an evaluator without a broker and one partition with counts.
type bench struct {
	t    *testing.T
	e    *Evaluator
	p    *part
	ring *window.Ring
	now  time.Time
	next int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	reg := prometheus.NewRegistry()
	b := &bench{t: t, now: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC), ring: window.NewRing(0, 1_000)}
	b.e = New(Options{
		Kafka: kafka.Default(), Rules: []rule.Rule{rule.Default()}, Instance: "test", SeriesMax: 1_000,
		Now: func() time.Time { return b.now }, Book: book.New(),
		Receivers: []*outbox.Outbox{outbox.New("slack", nobody{}, zap.NewNop(), outbox.NewMetrics(reg, "slack"))},
	}, zap.NewNop(), reg)
	b.p = &part{
		table: window.NewTable(window.NewLimit(1_000)), sets: make([]setState, 1), doubts: make(map[doubt][]uint64),
		changed: make(map[window.Key]bool), active: make(map[window.Key]bool),
	}
	for i := range b.e.opt.Kafka.Topics.Partitions {
		b.e.parts[i] = b.p
	}
	return b
}

// mail counts events at domain of provider.
func (b *bench) mail(kind window.Kind, n int, domain, provider string) {
	for range n {
		b.next++
		b.ring.Add(window.Observation{
			ID: fmt.Sprint(b.next), Pane: window.PaneOf(b.now), Kind: kind, Source: "acme", Domain: domain, Provider: provider,
		}, window.First(b.now, time.Hour))
	}
	rates := b.ring.Take()
	for i := range rates {
		b.p.table.Merge(&rates[i], 0, func(k window.Key, _ bool) { b.p.changed[k] = true })
	}
}

// judge steps the rule over every key twice, as it takes to believe it, and
// writes the drafts into the book. It returns who is notified: "firing d.test",
// with what else the message covers.
func (b *bench) judge() (notified []string) {
	b.t.Helper()
	r := &b.e.opt.Rules[0]
	b.e.findActive(b.p)
	var drafts []*draft
	for range confirmRounds + 1 {
		b.p.sets[0].round++
		drafts = nil
		keys := b.p.table.Hot()
		for k := range b.p.active {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
		for _, k := range keys {
			if d := b.e.draft(b.p, r, k, b.now); d != nil {
				drafts = append(drafts, d)
			}
		}
	}
	b.e.notify(b.p, drafts, b.now)
	for _, d := range drafts {
		if !d.write {
			continue
		}
		for _, n := range d.alert.Notify {
			if n.QueuedAt.Equal(b.now) {
				notified = append(notified, fmt.Sprintf("%s %s %v", n.Kind, keyOf(d.alert.Labels).Value, n.Facts.Also))
			}
		}
		b.put(&d.alert)
	}
	slices.Sort(notified)
	return notified
}

func (b *bench) want(what string, notified ...string) {
	b.t.Helper()
	if diff := cmp.Diff(notified, b.judge()); diff != "" {
		b.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	b.now = b.now.Add(time.Minute)
}

func TestNotify_OneDomainSpeaksForItsProvider(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mail(window.Blocked, 30, "gmail.com", "google")
	b.want("spike", "firing gmail.com [mailbox_provider google]")
	b.want("again")
}

func TestNotify_ProviderThatFollowsLaterIsNoNews(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mail(window.Delivered, 40, "googlemail.com", "google")
	b.mail(window.Blocked, 30, "gmail.com", "google")
	b.want("domain", "firing gmail.com []")
	b.mail(window.Blocked, 60, "gmail.com", "google")
	b.want("provider crosses, all its blocks are the domain's")
}

func TestNotify_ProviderWithMoreThanItsDomainIsNews(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mail(window.Blocked, 25, "hotmail.com", "microsoft")
	b.want("domain", "firing hotmail.com [mailbox_provider microsoft]")
	for i := range 20 {
		b.mail(window.Blocked, 4, fmt.Sprintf("small%d.test", i), "microsoft")
	}
	b.want("most blocks are elsewhere", "firing microsoft []")
	b.mail(window.Blocked, 40, "outlook.com", "microsoft")
	b.want("people look at the provider already")
}

func TestNotify_SeveralDomainsAtOnceAreTheProviders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mail(window.Blocked, 25, "hotmail.com", "microsoft")
	b.mail(window.Blocked, 50, "outlook.com", "microsoft")
	b.want("both", "firing microsoft [recipient_domain outlook.com recipient_domain hotmail.com]")
}

func TestNotify_DomainsWithoutAProviderSpeakForThemselves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mail(window.Blocked, 25, "a.test", "")
	b.mail(window.Blocked, 25, "b.test", "")
	b.want("both", "firing a.test []", "firing b.test []")
}

func TestNotify_CoveredAlertSpeaksWhenItsHeadIsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 10 {
		b.mail(window.Blocked, 10, fmt.Sprintf("small%d.test", i), "microsoft")
	}
	b.want("provider", "firing microsoft []")
	b.mail(window.Blocked, 30, "outlook.com", "microsoft")
	b.want("covered")
	b.mail(window.Delivered, 400, "hotmail.com", "microsoft") // the provider recovers, the domain does not
	b.want("recovering")
	b.now = b.now.Add(6 * time.Minute)
	b.mail(window.Blocked, 1, "outlook.com", "microsoft")
	b.want("the provider is over, the domain is not", "firing outlook.com []", "resolved microsoft []")
	b.want("again")
}

func TestNotify_OwesNoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := &draft{alert: schemas.Alert{Fingerprint: "f"}}
	for range owedMax + 5 {
		b.e.owe(d, "slack", schemas.NotifyFiring, schemas.AlertFacts{})
	}
	if n := len(d.alert.Notify); n != owedMax {
		t.Errorf("%d owed, want %d", n, owedMax)
	}
	for i, n := range d.alert.Notify {
		if n.Seq != i+1 {
			t.Errorf("notification %d has number %d", i, n.Seq)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"source":"a","mailbox_provider":"p","partition":1,"pane_seconds":10,"series":[{"dimension":"recipient_domain","value":"d","panes":[{"start":10,"counts":{"blocked":1},"blocks":[{"reason":"policy","count":1}]}]}]}`))
	f.Add([]byte(`{"mark":{"as_of":"2026-11-02T12:00:00Z","lanes":[0],"offsets":[1]}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decode(value)
		if err != nil || r.Mark != nil {
			return
		}
		limit := window.NewLimit(100)
		table := window.NewTable(limit)
		table.Merge(&r, 0, func(k window.Key, _ bool) {
			if c := table.Sum(k, 0); c.Total() < 0 {
				t.Errorf("total of %v is negative", k)
			}
			table.Split(k, 0)
		})
		table.Expire(1 << 30)
	})
}
