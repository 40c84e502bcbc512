package admin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

func TestTopics_CoverTheContract(t *testing.T) {
	t.Parallel()
	cfg := kafka.Default()
	got := map[string]string{}
	for _, topic := range admin.Topics(cfg) {
		got[topic.Name] = topic.Settings["cleanup.policy"] + " " + topic.Settings["retention.ms"]
		if topic.Partitions != 12 {
			t.Errorf("%s has %d partitions, want 12", topic.Name, topic.Partitions)
		}
	}
	want := map[string]string{
		"email.dead-letter": "delete 2592000000", "email.suppressions": "compact ",
		"email.alerts": "compact ", "email.alert_controls": "compact ", "email.erasures": "compact ", "email.audit": "compact ", "email.operations": "compact ", "email.drift": "compact ", "email.rates": "delete 7200000",
	}
	for _, name := range schemas.EventTopics("email.") {
		want[name] = "delete 1209600000"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestApply_CreatesWhatIsMissingAndASecondTimeNothing(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartEmpty(t)
	cl := kafkatest.Client(t, b.Config)
	if err := admin.Check(kafkatest.Context(t), cl, b.Config); err == nil || strings.Count(err.Error(), "is missing") != 21 {
		t.Errorf("Check of an empty broker = %v, want 21 missing topics", err)
	}
	if err := admin.Apply(kafkatest.Context(t), cl, b.Config, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	before := describe(t, cl)
	changes := 0
	for _, key := range []kmsg.Key{kmsg.CreateTopics, kmsg.IncrementalAlterConfigs, kmsg.CreatePartitions} {
		b.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			changes++
			return nil, nil, false
		})
	}
	if err := admin.Apply(kafkatest.Context(t), cl, b.Config, zap.NewNop()); err != nil {
		t.Errorf("second Apply = %v, want nil", err)
	}
	if diff := cmp.Diff(before, describe(t, cl)); diff != "" || changes != 0 {
		t.Errorf("second Apply made %d changes:\n%s", changes, diff)
	}
	if err := admin.Check(kafkatest.Context(t), cl, b.Config); err != nil {
		t.Errorf("Check = %v, want nil", err)
	}
}

// describe returns all settings of all topics.
func describe(t *testing.T, cl *kgo.Client) map[string]map[string]string {
	t.Helper()
	adm := kadm.NewClient(cl)
	details, err := adm.ListTopics(kafkatest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := adm.DescribeTopicConfigs(kafkatest.Context(t), details.Names()...)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, a := range answers {
		out[a.Name] = map[string]string{}
		for _, c := range a.Configs {
			out[a.Name][c.Key] = c.MaybeValue()
		}
	}
	return out
}

func TestApply_ListsEveryContradictionAndChangesNone(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartBroker(t)
	cl := kafkatest.Client(t, b.Config)
	wanted := b.Config
	wanted.Topics.Partitions = 12
	wanted.Topics.Retention = 24 * time.Hour
	before := describe(t, cl)
	err := admin.Apply(kafkatest.Context(t), cl, wanted, zap.NewNop())
	diff, ok := errors.AsType[*admin.DifferenceError](err)
	if !ok || fate.Of(err) != fate.Halt {
		t.Fatalf("Apply = %v, want a DifferenceError with the fate halt", err)
	}
	// 21 topics by their partitions, 12 event topics by their retention.
	if len(diff.Differences) != 33 {
		t.Errorf("%d differences, want 33: %v", len(diff.Differences), err)
	}
	for _, line := range []string{
		"email.bounced partitions: is 4, should be 12",
		"email.bounced retention.ms: is 1209600000, should be 86400000",
	} {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("%q is not in %v", line, err)
		}
	}
	if d := cmp.Diff(before, describe(t, cl)); d != "" {
		t.Errorf("Apply changed something:\n%s", d)
	}
}

func TestApply_ForceSetsSettingsButNeverPartitions(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartBroker(t)
	cl := kafkatest.Client(t, b.Config)
	wanted := b.Config
	wanted.Topics.Partitions = 5
	wanted.Topics.Retention = 24 * time.Hour
	err := admin.ApplyWith(kafkatest.Context(t), cl, wanted, zap.NewNop(), admin.ApplyOptions{Force: true})
	diff, ok := errors.AsType[*admin.DifferenceError](err)
	if !ok || len(diff.Differences) != 21 {
		t.Errorf("Apply = %v, want only the partitions of 21 topics", err)
	}
	got := describe(t, cl)
	if r := got[kafkatest.Bounced]["retention.ms"]; r != "86400000" {
		t.Errorf("retention.ms = %s, want 86400000", r)
	}
	wanted.Topics.Partitions = b.Config.Topics.Partitions
	if err := admin.Apply(kafkatest.Context(t), cl, wanted, zap.NewNop()); err != nil {
		t.Errorf("Apply of what was forced = %v, want nil", err)
	}
}

func TestCheck_RefusesOnlyWhatBreaksAPromise(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		topic string
		set   string
		value string
		want  string // part of the error; empty: none
	}{
		{"another retention is a matter of disk", kafkatest.Bounced, "retention.ms", "3600000", ""},
		{"suppressions that are deleted", kafkatest.Suppressed, "cleanup.policy", "delete", "email.suppressions cleanup.policy: is delete, should be compact"},
		{"room for larger records is fine", kafkatest.Bounced, "max.message.bytes", "9000000", ""},
		{"records that do not fit", kafkatest.Bounced, "max.message.bytes", "1000", "email.bounced max.message.bytes: is 1000, should be 1048576"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := kafkatest.StartBroker(t)
			cl := kafkatest.Client(t, b.Config)
			if _, err := kadm.NewClient(cl).AlterTopicConfigs(kafkatest.Context(t), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: tc.set, Value: &tc.value}}, tc.topic); err != nil {
				t.Fatal(err)
			}
			err := admin.Check(kafkatest.Context(t), cl, b.Config)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("Check = %v, want nil", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("Check = %v, want %q", err, tc.want)
			}
		})
	}
}
