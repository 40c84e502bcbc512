package admin_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

// watch returns a watch over two topics that looks often.
func watch(t *testing.T, cfg kafka.Config, wc admin.WatchConfig) *admin.Watch {
	t.Helper()
	wc.Name, wc.Topics = "test", []string{kafkatest.Bounced, kafkatest.Opened}
	wc.Interval = cmp.Or(wc.Interval, 5*time.Millisecond)
	w, err := admin.NewWatch(cfg, wc, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func awaited(t *testing.T, cfg kafka.Config, wc admin.WatchConfig) *admin.Watch {
	t.Helper()
	w := watch(t, cfg, wc)
	if w.Fault() == nil {
		t.Error("Fault before the first look = nil")
	}
	if err := w.Await(kafkatest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if err := w.Fault(); err != nil {
		t.Errorf("Fault after Await = %v, want nil", err)
	}
	return w
}

func TestWatch_AwaitsTheBrokerAndItsTopics(t *testing.T) {
	t.Parallel()
	port := servicetest.FreePort(t)
	cfg := kafka.Default()
	cfg.Topics.Partitions = kafkatest.Partitions
	cfg.Brokers = []string{"no-such-host.invalid:9092", port.Addr, "neither.invalid:9092"}
	w := watch(t, cfg, admin.WatchConfig{})
	waiting := kafkatest.Go(t, w.Await)
	servicetest.Eventually(t, "the watch says that it waits", func() bool { return w.Fault() != nil })
	b := kafkatest.StartEmpty(t, kfake.Ports(port.Number))
	b.Config.Topics.Partitions = kafkatest.Partitions
	kafkatest.Make(t, b.Config)
	if err := waiting.Wait(t); err != nil {
		t.Errorf("Await = %v, want nil", err)
	}
	wrong := cfg
	wrong.Topics.Partitions = 7
	if err := watch(t, wrong, admin.WatchConfig{}).Await(kafkatest.Context(t)); fate.Of(err) != fate.Halt {
		t.Errorf("Await with another number of partitions = %v, want the fate halt", err)
	}
}

func TestWatch_AwaitsWhatPasses(t *testing.T) {
	t.Parallel()
	for _, code := range []*kerr.Error{
		kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.BrokerNotAvailable, kerr.CoordinatorNotAvailable,
		kerr.NotController, kerr.RequestTimedOut, kerr.UnknownServerError,
	} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			b := kafkatest.StartBroker(t)
			refusals := 3
			b.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
				m := req.(*kmsg.MetadataRequest)
				if refusals == 0 || len(m.Topics) == 0 {
					b.KeepControl()
					return nil, nil, false
				}
				b.KeepControl()
				refusals--
				return metadataRefusal(t, b, m, code), nil, true
			})
			w := watch(t, b.Config, admin.WatchConfig{})
			if err := w.Await(kafkatest.Context(t)); err != nil {
				t.Errorf("Await = %v, want nil once it has passed", err)
			}
		})
	}
}

// metadataRefusal answers for every topic with code.
func metadataRefusal(t *testing.T, b *kafkatest.Broker, req *kmsg.MetadataRequest, code *kerr.Error) *kmsg.MetadataResponse {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	broker := kmsg.NewMetadataResponseBroker()
	broker.Host, broker.Port = "127.0.0.1", int32(b.Port(t))
	resp.Brokers, resp.ControllerID = append(resp.Brokers, broker), 0
	for _, topic := range req.Topics {
		rt := kmsg.NewMetadataResponseTopic()
		rt.Topic, rt.TopicID, rt.ErrorCode = topic.Topic, topic.TopicID, code.Code
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func TestWatch_SaysSoWhileATopicIsMissingAndStartsAgainWhenItIsAnother(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	w := awaited(t, cfg, admin.WatchConfig{})
	id := w.ID(kafkatest.Bounced)
	r := kafkatest.Go(t, w.Run)
	kafkatest.Delete(t, cfg, kafkatest.Bounced)
	servicetest.Eventually(t, "the missing topic is a fault", func() bool { return errors.Is(w.Fault(), kafka.ErrUnknownTopic) })
	kafkatest.Make(t, cfg)
	err := r.Wait(t)
	if !errors.Is(err, kafka.ErrRecreated) || fate.Of(err) != fate.StartAgain {
		t.Errorf("Run = %v (%s), want ErrRecreated with the fate start again", err, fate.Of(err))
	}
	again := awaited(t, cfg, admin.WatchConfig{})
	if again.ID(kafkatest.Bounced) == id {
		t.Error("the topic made anew has the id of the old one")
	}
}

func TestWatch_AddedPartitions(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	strict := kafkatest.Go(t, awaited(t, cfg, admin.WatchConfig{}).Run)
	lenient := awaited(t, cfg, admin.WatchConfig{AnyPartitions: true})
	going := kafkatest.Go(t, lenient.Run)
	kafkatest.AddPartitions(t, cfg, 2, kafkatest.Opened)
	err := strict.Wait(t)
	if _, ok := errors.AsType[*admin.DifferenceError](err); !ok || fate.Of(err) != fate.Halt {
		t.Errorf("Run = %v (%s), want a DifferenceError with the fate halt", err, fate.Of(err))
	}
	servicetest.Eventually(t, "who goes on says that it should not", func() bool { return lenient.Fault() != nil })
	if err := going.End(t); err != nil {
		t.Errorf("Run with AnyPartitions = %v, want nil", err)
	}
}

func TestWatch_RightsTakenAway(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartBroker(t)
	strict := kafkatest.Go(t, awaited(t, b.Config, admin.WatchConfig{}).Run)
	var notified []string
	serving := awaited(t, b.Config, admin.WatchConfig{Recreated: func(topic string) { notified = append(notified, topic) }})
	going := kafkatest.Go(t, serving.Run)
	b.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		return metadataRefusal(t, b, req.(*kmsg.MetadataRequest), kerr.TopicAuthorizationFailed), nil, true
	})
	if err := strict.Wait(t); !errors.Is(err, kafka.ErrDenied) || fate.Of(err) != fate.Halt {
		t.Errorf("Run = %v (%s), want ErrDenied with the fate halt", err, fate.Of(err))
	}
	servicetest.Eventually(t, "who serves on says that it should not", func() bool { return errors.Is(serving.Fault(), kafka.ErrDenied) })
	if err := going.End(t); err != nil || len(notified) != 0 {
		t.Errorf("Run = %v, called for %v; want to go on and no topic", err, notified)
	}
}

func TestWatch_TellsWhoServesOnOfATopicMadeAnew(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	notified := make(chan string, 8)
	w := awaited(t, cfg, admin.WatchConfig{Recreated: func(topic string) { notified <- topic }})
	r := kafkatest.Go(t, w.Run)
	kafkatest.Remake(t, cfg, kafkatest.Opened)
	if topic := <-notified; topic != kafkatest.Opened {
		t.Errorf("called for %q, want %q", topic, kafkatest.Opened)
	}
	servicetest.Eventually(t, "the fault is over", func() bool { return w.Fault() == nil })
	if err := r.End(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestWatch_SurvivesAnOutage(t *testing.T) {
	t.Parallel()
	port := servicetest.FreePort(t)
	b := kafkatest.StartBroker(t, kfake.Ports(port.Number), kfake.DataDir(t.TempDir()))
	w := awaited(t, b.Config, admin.WatchConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	b.Close()
	if err := w.Run(ctx); err != nil {
		t.Errorf("Run while brokers are away = %v, want nil", err)
	}
	if err := w.Fault(); err != nil {
		t.Errorf("Fault while brokers are away = %v, want what was known", err)
	}
}
