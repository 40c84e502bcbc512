package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/devstack/slack"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
)

// AlertingOptions shape one run of Alerting. The zero value of a field takes its
// default.
type AlertingOptions struct {
	// Events of the last ten minutes that are on the topics at the start, about 1
	// KB each. Default 300_000.
	Events int
	// Spikes made one after the other, each at a different domain. Default 30.
	Spikes int
	// Rate of the deliveries that arrive meanwhile, events a second. Default 2,000.
	Rate int
	// Progress, when not nil, is called with each measurement as it ends.
	Progress func(line string)
}

// AlertingReport is what the alerting service did.
type AlertingReport struct {
	// Counted is events a second from the start of the service until it is ready:
	// read, counted once, published as rates, merged and judged.
	Counted float64
	// Reference is events a second of a plain reader that remembers every event of
	// each key in a map, without any durability or second stage.
	Reference float64
	// Told is the time from the acknowledgement of the event that crosses the line until
	// Slack has the message, with 50 rules and at the rate.
	Told Spread
	// Rate is what arrived meanwhile, events a second.
	Rate float64
}

// Restart is how long a start takes until it judges with so many events in the longest
// window, by Counted.
func (r AlertingReport) Restart(events int) time.Duration {
	return time.Duration(float64(events) / r.Counted * float64(time.Second))
}

// alertingConfig is the configuration of the service that is measured.
const alertingConfig = `
kafka: {brokers: [%q]}
log: {level: error}
alerting:
  listen: 127.0.0.1:0
  tokens: [bench]
  slack: {webhook_url: %q}
  rules:
  - {name: block_spike}
%s`

// alertingRules are those that are judged beside the one that fires.
const alertingRules = 49

// quietRules want more mail than a spike has: all are judged and one is heard.
func quietRules() string {
	var b strings.Builder
	for i := range alertingRules {
		fmt.Fprintf(&b, "  - {name: quiet_%d, window: %dm, min_volume: %d}\n", i, 1+i%15, 100_000+i)
	}
	return b.String()
}

// spikeWait bounds the wait for one message; it is a fault of the run beyond.
const spikeWait = 2 * time.Minute

// spikeBlocks are the blocked events of one spike, above the rule's minimum.
const spikeBlocks = 25

// Alerting measures the alerting service with 50 rules on a broker and a stand-in for Slack.
func Alerting(ctx context.Context, opt AlertingOptions) (report AlertingReport, err error) {
	if opt.Events == 0 {
		opt.Events = 300_000
	}
	if opt.Spikes == 0 {
		opt.Spikes = 30
	}
	if opt.Rate == 0 {
		opt.Rate = 2000
	}
	if opt.Progress == nil {
		opt.Progress = func(string) {}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &alertingRun{
		opt: opt, broker: broker.New(broker.Config{Listen: "127.0.0.1:0"}, zap.NewNop()), slack: slack.New("127.0.0.1:0"),
	}
	measured := make(chan struct{})
	tasks := []pipeline.Task{
		{Name: "broker", Run: a.broker.Run, Ready: a.broker.Ready()},
		{Name: "slack", Run: a.slack.Run, Ready: a.slack.Ready()},
		{Name: "measurement", Run: func(ctx context.Context) error {
			defer cancel()
			if err := a.measure(ctx, &report); err != nil {
				return err
			}
			close(measured)
			return nil
		}},
	}
	err = pipeline.RunInOrder(ctx, tasks, nil, nil)
	select {
	case <-measured:
		return report, nil
	default:
		return report, cmpErr(err, a.fault)
	}
}

// cmpErr returns the first error there is.
func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return errors.New("measure alerting: ended early")
}

// alertingRun is one run of Alerting.
type alertingRun struct {
	opt    AlertingOptions
	broker *broker.Broker
	slack  *slack.Server
	client *kgo.Client
	fault  error
}

func (a *alertingRun) measure(ctx context.Context, report *AlertingReport) (err error) {
	defer func() { a.fault = err }()
	cfg, _, err := pipeline.Load(pipeline.Input{
		File: fmt.Appendf(nil, alertingConfig, a.broker.Addr(), a.slack.WebhookURL(), quietRules()), Name: "the benchmark's configuration",
		Services: []pipeline.Name{pipeline.Alerting},
	})
	if err != nil {
		return err
	}
	if err := pipeline.ApplyTopics(ctx, cfg, zap.NewNop()); err != nil {
		return err
	}
	if a.client, err = kgo.NewClient(kgo.SeedBrokers(a.broker.Addr()), kgo.ProducerLinger(0)); err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	defer a.client.Close()
	if err := a.fill(ctx); err != nil {
		return err
	}
	if report.Reference, err = a.reference(ctx); err != nil {
		return err
	}
	a.opt.Progress(fmt.Sprintf("plain reader with maps: %.0f events/s", report.Reference))
	service, err := pipeline.New(cfg, pipeline.Alerting, zap.NewNop())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- service.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	select {
	case <-service.Ready():
	case err := <-ended:
		ended <- nil // for the end
		return cmpErr(err)
	}
	report.Counted = float64(a.opt.Events) / time.Since(began).Seconds()
	a.opt.Progress(fmt.Sprintf("alerting from start to ready: %.0f events/s", report.Counted))
	traffic, stop := context.WithCancel(ctx)
	delivered := make(chan float64, 1)
	go func() { delivered <- a.deliver(traffic) }()
	err = a.spikes(ctx, report)
	stop()
	report.Rate = <-delivered
	return err
}

// deliver writes deliveries at the rate until ctx is done, and returns the rate reached.
func (a *alertingRun) deliver(ctx context.Context) (rate float64) {
	const step = 50 * time.Millisecond
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	began, n := time.Now(), 0
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return float64(n) / time.Since(began).Seconds()
		}
		for due := int(time.Since(began).Seconds() * float64(a.opt.Rate)); n < due; n++ {
			id := 1<<30 + n // beyond those of the fill and of the spikes
			a.client.Produce(ctx, outcome(id, schemas.Delivered, fmt.Sprintf("d%d.example", n*7919%3_000), time.Now()), nil)
		}
	}
}

// countedTopics are those a block rate is made of.
func countedTopics() []string {
	var topics []string
	for _, t := range []schemas.Type{schemas.Delivered, schemas.Bounced, schemas.Blocked} {
		topics = append(topics, schemas.EventTopic(schemas.DefaultTopicPrefix, t))
	}
	return topics
}

// fill writes the events of an ordinary ten minutes: one in twenty blocked.
func (a *alertingRun) fill(ctx context.Context) error {
	const batch = 10_000
	now := time.Now()
	for n := 0; n < a.opt.Events; n += batch {
		recs := make([]*kgo.Record, 0, batch)
		for i := n; i < min(n+batch, a.opt.Events); i++ {
			kind := schemas.Delivered
			switch uint64(i) * 0x9e3779b97f4a7c15 >> 40 % 20 { // spread over all domains
			case 0:
				kind = schemas.Blocked
			case 1:
				kind = schemas.Bounced
			}
			age := time.Duration(i%600) * time.Second
			recs = append(recs, outcome(i, kind, fmt.Sprintf("d%d.example", i*7919%3_000), now.Add(-age)))
		}
		if err := a.client.ProduceSync(ctx, recs...).FirstErr(); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
	}
	return nil
}

// outcome is the record of the n-th event.
func outcome(n int, kind schemas.Type, domain string, at time.Time) *kgo.Record {
	e := schemas.Event{
		ID: fmt.Sprintf("%08x-%04x-8000-8000-%012x", at.UnixMilli()>>16, at.UnixMilli()&0xffff, n), Type: kind, Time: at, ReceivedAt: at,
		Provider: "mailjet", Source: "bench", ProviderEvent: "sent", MessageID: fmt.Sprint(uint64(57646076000000000) + uint64(n)),
		Recipient: fmt.Sprintf("user%d@%s", n, domain), RecipientDomain: domain, RecipientHash: fmt.Sprintf("%032x", uint64(n)*0x9e3779b97f4a7c15),
		MailboxProvider: []string{"google", "microsoft", "yahoo", ""}[domain[1]%4], SMTPReply: "sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)",
		Raw: []byte(strings.Replace(event, "%08d", fmt.Sprintf("%08d", n), 1)),
	}
	if kind != schemas.Delivered {
		e.Reason, e.Cause, e.SMTPReply = schemas.Reputation, schemas.CauseSender, "550 5.7.1 blocked for its reputation"
	}
	return &kgo.Record{
		Topic: schemas.EventTopic(schemas.DefaultTopicPrefix, kind), Key: []byte(schemas.PartitionKey(&e)), Value: schemas.AppendJSON(nil, &e),
	}
}

// reference reads the same topics and remembers every event of each key.
func (a *alertingRun) reference(ctx context.Context) (float64, error) {
	ends, err := kadm.NewClient(a.client).ListEndOffsets(ctx, countedTopics()...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("list offsets: %w", err)
	}
	var want, got int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	reader, err := kgo.NewClient(kgo.SeedBrokers(a.broker.Addr()), kgo.ConsumeTopics(countedTopics()...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, fmt.Errorf("connect to the broker: %w", err)
	}
	defer reader.Close()
	type key struct{ source, dimension, value string }
	seen := make(map[key]map[string]time.Time)
	began := time.Now()
	for got < want {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return 0, fmt.Errorf("read events: %w", err)
		}
		for _, rec := range fetches.Records() {
			e, err := schemas.Decode(rec.Value)
			if err != nil {
				return 0, err
			}
			got++
			for _, k := range []key{{e.Source, "domain", e.RecipientDomain}, {e.Source, "provider", e.MailboxProvider}} {
				if seen[k] == nil {
					seen[k] = make(map[string]time.Time)
				}
				seen[k][e.ID] = e.Time
			}
		}
	}
	return float64(want) / time.Since(began).Seconds(), nil
}

// spikes measures the delay until each is reported.
func (a *alertingRun) spikes(ctx context.Context, report *AlertingReport) error {
	var took []time.Duration
	for i := range a.opt.Spikes {
		domain := fmt.Sprintf("spike%d.example", i)
		recs := make([]*kgo.Record, 0, spikeBlocks)
		for n := range spikeBlocks {
			rec := outcome(a.opt.Events+i*spikeBlocks+n, schemas.Blocked, domain, time.Now())
			recs = append(recs, rec)
		}
		if err := a.client.ProduceSync(ctx, recs...).FirstErr(); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		acknowledged := time.Now()
		wait, cancel := context.WithTimeout(ctx, spikeWait)
		messages, err := a.slack.Wait(wait, i+1)
		cancel()
		if err != nil {
			return fmt.Errorf("wait for message %d: %w", i+1, err)
		}
		last := messages[len(messages)-1]
		if len(messages) != i+1 || !strings.Contains(last.Text, domain) {
			return fmt.Errorf("wait for message %d: %d came, the last about something else", i+1, len(messages))
		}
		took = append(took, last.At.Sub(acknowledged))
		select { // the next one falls somewhere else between two rounds, and is not held back by the pace of Slack
		case <-time.After(1200*time.Millisecond + time.Duration(i*37)*time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	report.Told = spreadOf(took)
	a.opt.Progress(fmt.Sprintf("event to Slack: p50 %s, max %s", report.Told.P50.Round(time.Millisecond), report.Told.Max.Round(time.Millisecond)))
	return nil
}
