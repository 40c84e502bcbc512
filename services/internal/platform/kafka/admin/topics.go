// Package admin creates topics, compares their settings with the configuration, and
// watches whether they change while a service runs. It never changes a number of
// partitions and never deletes a topic.
package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Names of topic settings, as Kafka spells them.
const (
	settingCleanup          = "cleanup.policy"
	settingRetention        = "retention.ms"
	settingMessageBytesMax  = "max.message.bytes"
	settingMinInsync        = "min.insync.replicas"
	settingCompactionLagMin = "min.compaction.lag.ms"
	settingCompactionLagMax = "max.compaction.lag.ms"
	settingTombstones       = "delete.retention.ms"
	settingTimestampType    = "message.timestamp.type"
)

const (
	cleanupDelete  = "delete"
	cleanupCompact = "compact"
	timestampType  = "CreateTime" // records keep the producer's time, replays too

	// topicsTimeout bounds one request about topics.
	topicsTimeout = 30 * time.Second
)

// Topic is how one topic has to be.
type Topic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16 // -1 is the broker's default
	Settings          map[string]string
}

// Topics returns how all topics have to be: the event topics in the order of
// their types, those of webhooks, dead letters, suppressions, alerts, their controls, rates,
// erasures, the audit, operations and drift.
func Topics(cfg kafka.Config) []Topic {
	c := cfg.Topics
	events := deleting(c.Retention)
	specs := make([]Topic, 0, len(schemas.Types())+len(cfg.Webhooks)+9)
	for _, name := range append(schemas.EventTopics(cfg.TopicPrefix), cfg.Webhooks...) {
		specs = append(specs, newTopic(c, name, events))
	}
	dead := newTopic(c, schemas.DeadLetterTopic(cfg.TopicPrefix), deleting(c.DeadLetterRetention))
	dead.Settings[settingMessageBytesMax] = strconv.FormatInt(int64(c.DeadLetterBytesMax), 10)
	return append(specs, dead,
		newTopic(c, schemas.SuppressionsTopic(cfg.TopicPrefix), compacting(c)),
		newTopic(c, schemas.AlertsTopic(cfg.TopicPrefix), compacting(c)),
		newTopic(c, schemas.AlertControlsTopic(cfg.TopicPrefix), compacting(c)),
		newTopic(c, schemas.RatesTopic(cfg.TopicPrefix), deleting(c.RatesRetention)),
		newTopic(c, schemas.ErasuresTopic(cfg.TopicPrefix), compacting(c)),
		newTopic(c, schemas.AuditTopic(cfg.TopicPrefix), compacting(c)), // each key once: kept for ever
		newTopic(c, schemas.OperationsTopic(cfg.TopicPrefix), compacting(c)),
		newTopic(c, schemas.DriftTopic(cfg.TopicPrefix), compacting(c)),
	)
}

func newTopic(c kafka.TopicsConfig, name string, settings map[string]string) Topic {
	t := Topic{Name: name, Partitions: c.Partitions, ReplicationFactor: c.ReplicationFactor, Settings: map[string]string{
		settingMessageBytesMax: strconv.FormatInt(int64(c.RecordBytesMax), 10),
		settingTimestampType:   timestampType,
	}}
	for k, v := range settings {
		t.Settings[k] = v
	}
	if t.ReplicationFactor == 0 {
		t.ReplicationFactor = -1
	}
	if c.MinInsyncReplicas > 0 {
		t.Settings[settingMinInsync] = strconv.Itoa(int(c.MinInsyncReplicas))
	}
	return t
}

func deleting(retention time.Duration) map[string]string {
	return map[string]string{settingCleanup: cleanupDelete, settingRetention: millis(retention)}
}

func compacting(c kafka.TopicsConfig) map[string]string {
	return map[string]string{
		settingCleanup:          cleanupCompact,
		settingCompactionLagMin: millis(c.CompactionLagMin),
		settingCompactionLagMax: millis(c.CompactionLagMax),
		settingTombstones:       millis(c.TombstoneRetention),
	}
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Difference is one way in which a topic is not as the configuration says.
type Difference struct {
	Topic   string
	Setting string // "partitions", "replication factor", "topic", or Kafka's name of the setting
	Want    string
	Got     string
	// Fatal says that services must not run with it: they could not keep what they
	// promise. The others concern disk space or replication.
	Fatal bool
	// Fixable says that Apply with Force sets it.
	Fixable bool
}

// String returns "topic setting: is X, should be Y".
func (d Difference) String() string {
	return fmt.Sprintf("%s %s: is %s, should be %s", d.Topic, d.Setting, d.Got, d.Want)
}

// DifferenceError lists what about the topics contradicts the configuration.
type DifferenceError struct{ Differences []Difference }

// Error returns all differences, a line each.
func (e *DifferenceError) Error() string {
	lines := make([]string, len(e.Differences))
	for i, d := range e.Differences {
		lines[i] = d.String()
	}
	return fmt.Sprintf("kafka topics contradict the configuration in %d points:\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// ApplyOptions change what Apply may do.
type ApplyOptions struct {
	// Force sets the settings that differ, which may delete or keep data. Numbers
	// of partitions and replicas are never changed.
	Force bool
}

// Apply creates the topics that are missing and compares the others. It changes no
// topic that exists and returns a DifferenceError (fate halt) when
// something contradicts cfg. A second Apply changes nothing.
func Apply(ctx context.Context, cl *kgo.Client, cfg kafka.Config, log *zap.Logger) error {
	return ApplyWith(ctx, cl, cfg, log, ApplyOptions{})
}

// ApplyWith is Apply with options.
func ApplyWith(ctx context.Context, cl *kgo.Client, cfg kafka.Config, log *zap.Logger, opt ApplyOptions) error {
	return applier{adm: kadm.NewClient(cl), cfg: cfg, log: log, force: opt.Force}.apply(ctx)
}

// Check compares the topics with cfg and changes nothing. It returns a
// DifferenceError (fate halt) for what a service must not run with: a missing
// topic, another number of partitions, another cleanup policy, a smaller
// record size.
func Check(ctx context.Context, cl *kgo.Client, cfg kafka.Config) error {
	_, err := check(ctx, kadm.NewClient(cl), cfg)
	return err
}

// check is Check that also returns what the topics are.
func check(ctx context.Context, adm *kadm.Client, cfg kafka.Config) (kadm.TopicDetails, error) {
	details, diffs, err := compare(ctx, adm, Topics(cfg))
	if err != nil {
		return nil, err
	}
	return details, contradiction(slices.DeleteFunc(diffs, func(d Difference) bool { return !d.Fatal }))
}

func onlyMissing(err error) bool {
	diff, ok := errors.AsType[*DifferenceError](err)
	return ok && !slices.ContainsFunc(diff.Differences, func(d Difference) bool { return d.Got != gotNothing })
}

const gotNothing = "missing"

func contradiction(diffs []Difference) error {
	if len(diffs) == 0 {
		return nil
	}
	return fate.Wrap(fate.Halt, &DifferenceError{Differences: diffs})
}

type applier struct {
	adm   *kadm.Client
	cfg   kafka.Config
	log   *zap.Logger
	force bool
}

func (a applier) apply(ctx context.Context) error {
	specs := Topics(a.cfg)
	_, diffs, err := compare(ctx, a.adm, specs)
	if err != nil {
		return err
	}
	var rest []Difference
	created := false
	for _, d := range diffs {
		switch {
		case d.Got == gotNothing:
			created = true
			err = a.create(ctx, specs[slices.IndexFunc(specs, func(t Topic) bool { return t.Name == d.Topic })])
		case a.force && d.Fixable:
			err = a.set(ctx, d)
		default:
			rest = append(rest, d)
		}
		if err != nil {
			return err
		}
	}
	if created {
		if err := a.awaitCreated(ctx, specs); err != nil {
			return err
		}
	}
	return contradiction(rest)
}

// createdBackoff spaces the checks of topics that were created.
var createdBackoff = lifecycle.Backoff{Min: 50 * time.Millisecond, Max: time.Second}

// createdTimeout bounds the wait for topics that were created: a broker with much else to
// do took more than 30 s.
const createdTimeout = 2 * time.Minute

// errNotThereYet says that a topic was created and not every broker knows it.
var errNotThereYet = errors.New("not every broker knows it yet")

// awaitCreated returns when the brokers know every topic: metadata reaches all of
// them a moment after one has answered.
func (a applier) awaitCreated(ctx context.Context, specs []Topic) error {
	ctx, cancel := context.WithTimeout(ctx, createdTimeout)
	defer cancel()
	err := createdBackoff.Retry(ctx, func(ctx context.Context) error {
		_, diffs, err := compare(ctx, a.adm, specs)
		if err != nil {
			return err
		}
		for _, d := range diffs {
			if d.Got == gotNothing {
				return fmt.Errorf("topic %s: %w", d.Topic, errNotThereYet)
			}
		}
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("wait for created topics: %w", err)
	}
	return nil
}

func (a applier) create(ctx context.Context, t Topic) error {
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	settings := make(map[string]*string, len(t.Settings))
	for k, v := range t.Settings {
		settings[k] = &v
	}
	_, err := a.adm.CreateTopic(ctx, t.Partitions, t.ReplicationFactor, settings, t.Name)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil // another process applies, too; the next comparison sees it
	}
	if err != nil {
		return fmt.Errorf("create topic %q: %w", t.Name, kafka.Classify(err))
	}
	a.log.Info("topic created", telemetry.Topic(t.Name))
	return nil
}

func (a applier) set(ctx context.Context, d Difference) error {
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	alter := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: d.Setting, Value: &d.Want}}
	answers, err := a.adm.AlterTopicConfigs(ctx, alter, d.Topic)
	if err == nil {
		_, err = answers.On(d.Topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	if err != nil {
		return fmt.Errorf("set %s of topic %q: %w", d.Setting, d.Topic, kafka.Classify(err))
	}
	a.log.Info("topic setting changed", telemetry.Topic(d.Topic), telemetry.Name(d.Setting), telemetry.Detail(d.Got+" -> "+d.Want))
	return nil
}

// compare returns what the topics are and every difference, in the order of
// specs.
func compare(ctx context.Context, adm *kadm.Client, specs []Topic) (kadm.TopicDetails, []Difference, error) {
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	details, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("list topics: %w", kafka.Classify(err))
	}
	present := slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return errors.Is(details[n].Err, kerr.UnknownTopicOrPartition)
	})
	settings := map[string]map[string]string{}
	if len(present) > 0 {
		if settings, err = describe(ctx, adm, present); err != nil {
			return nil, nil, err
		}
	}
	var diffs []Difference
	for _, s := range specs {
		detail := details[s.Name]
		if errors.Is(detail.Err, kerr.UnknownTopicOrPartition) {
			diffs = append(diffs, Difference{Topic: s.Name, Setting: "topic", Got: gotNothing, Want: fmt.Sprintf("there with %d partitions", s.Partitions), Fatal: true})
			continue
		}
		if detail.Err != nil {
			return nil, nil, fmt.Errorf("describe topic %q: %w", s.Name, kafka.Classify(detail.Err))
		}
		diffs = append(diffs, s.differences(detail, settings[s.Name])...)
	}
	return details, diffs, nil
}

func describe(ctx context.Context, adm *kadm.Client, names []string) (map[string]map[string]string, error) {
	answers, err := adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describe topic settings: %w", kafka.Classify(err))
	}
	out := make(map[string]map[string]string, len(answers))
	for _, a := range answers {
		if a.Err != nil {
			return nil, fmt.Errorf("describe settings of topic %q: %w", a.Name, kafka.Classify(a.Err))
		}
		out[a.Name] = make(map[string]string, len(a.Configs))
		for _, c := range a.Configs {
			out[a.Name][c.Key] = c.MaybeValue()
		}
	}
	return out, nil
}

func (t Topic) differences(d kadm.TopicDetail, got map[string]string) []Difference {
	var diffs []Difference
	if n := len(d.Partitions); n != int(t.Partitions) {
		diffs = append(diffs, t.partitionsAre(n))
	}
	if n := d.Partitions.NumReplicas(); t.ReplicationFactor > 0 && n != int(t.ReplicationFactor) {
		diffs = append(diffs, Difference{Topic: t.Name, Setting: "replication factor", Want: strconv.Itoa(int(t.ReplicationFactor)), Got: strconv.Itoa(n)})
	}
	names := make([]string, 0, len(t.Settings))
	for name := range t.Settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		want, is := t.Settings[name], got[name]
		if !sameSetting(want, is) {
			diffs = append(diffs, Difference{Topic: t.Name, Setting: name, Want: want, Got: quoteEmpty(is), Fatal: fatalSetting(name, want, is), Fixable: true})
		}
	}
	return diffs
}

// partitionsAre is the difference of another number of partitions.
func (t Topic) partitionsAre(n int) Difference {
	return Difference{Topic: t.Name, Setting: "partitions", Want: strconv.Itoa(int(t.Partitions)), Got: strconv.Itoa(n), Fatal: true}
}

// sameSetting compares lists without regard to order and all else literally.
func sameSetting(want, got string) bool {
	return want == got || sortedList(want) == sortedList(got)
}

func sortedList(s string) string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// fatalSetting says whether a promise would not hold: a suppression could be
// deleted, an event not fit, a write be acknowledged by too few replicas.
func fatalSetting(name, want, got string) bool {
	switch name {
	case settingCleanup:
		return true
	case settingMessageBytesMax, settingMinInsync:
		w, _ := strconv.ParseInt(want, 10, 64) // ours: always a number
		g, err := strconv.ParseInt(got, 10, 64)
		return err != nil || g < w
	default:
		return false
	}
}

func quoteEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return s
}
