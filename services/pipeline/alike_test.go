package pipeline_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// stumble has the broker answer the first requests of every kind that a start
// makes as one does that has just been started.
func stumble(b *kafkatest.Broker) {
	const each = 3 // refusals
	var mu sync.Mutex
	left := map[kmsg.Key]int{kmsg.Metadata: each, kmsg.ListOffsets: each, kmsg.FindCoordinator: each, kmsg.JoinGroup: each, kmsg.OffsetFetch: each}
	for key := range left {
		b.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			b.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			if left[key] == 0 {
				return nil, nil, false
			}
			resp := passing(req)
			if resp != nil {
				left[key]--
			}
			return resp, nil, resp != nil
		})
	}
}

// passing answers req with a fault that passes by itself, nil when it is none of
// those a topic or a group is asked about in.
func passing(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		if len(req.Topics) == 0 {
			return nil // the client looks for brokers
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, topic := range req.Topics {
			rt := kmsg.NewMetadataResponseTopic()
			rt.Topic, rt.ErrorCode = topic.Topic, kerr.LeaderNotAvailable.Code
			resp.Topics = append(resp.Topics, rt)
		}
		return resp
	case *kmsg.ListOffsetsRequest:
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range req.Topics {
			rt := kmsg.NewListOffsetsResponseTopic()
			rt.Topic = topic.Topic
			for _, p := range topic.Partitions {
				rp := kmsg.NewListOffsetsResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.NotLeaderForPartition.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp
	case *kmsg.FindCoordinatorRequest:
		resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
		for _, key := range req.CoordinatorKeys {
			rk := kmsg.NewFindCoordinatorResponseCoordinator()
			rk.Key, rk.ErrorCode = key, kerr.CoordinatorNotAvailable.Code
			resp.Coordinators = append(resp.Coordinators, rk)
		}
		return resp
	case *kmsg.JoinGroupRequest:
		resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
		resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		return resp
	default:
		return nil
	}
}

// readyz returns what a service says of itself.
func readyz(addr string) (status int, text string) {
	resp, err := http.Get("http://" + addr + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

func TestServices_WaitAlikeForWhatTheyNeed(t *testing.T) {
	t.Parallel()
	for _, name := range pipeline.Names() {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			port := servicetest.FreePort(t)
			cfg, err := pipeline.Dev()
			if err != nil {
				t.Fatal(err)
			}
			cfg.Kafka.Brokers = []string{"no-such-broker.invalid:9092", port.Addr, "nor-this.invalid:9092"}
			cfg.Kafka.Topics.Partitions = kafkatest.Partitions
			cfg.ClickHouse.URL = "http://127.0.0.1:1" // nobody listens there
			cfg.State.Dir = t.TempDir()
			cfg.Ingress.Listen, cfg.Analytics.Listen = "127.0.0.1:0", "127.0.0.1:0"
			cfg.Suppression.Listen, cfg.Alerting.Listen = "127.0.0.1:0", "127.0.0.1:0"
			cfg.Console.Listen = "127.0.0.1:0"
			core, lines := observer.New(zapcore.WarnLevel)
			svc, err := pipeline.New(cfg, name, zap.New(core))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- svc.Run(ctx) }()
			waits := func(why string) {
				t.Helper()
				servicetest.Eventually(t, string(name)+" waits: "+why, func() bool {
					if len(done) > 0 {
						t.Fatalf("it ended: %v", <-done)
					}
					status, text := readyz(svc.Addr())
					return status == http.StatusServiceUnavailable && strings.Contains(text, why)
				})
			}
			waits("wait for kafka topics")
			b := kafkatest.StartEmpty(t, kfake.Ports(port.Number))
			waits("missing")
			stumble(b)
			own := cfg
			own.Kafka.Brokers = []string{port.Addr}
			servicetest.Eventually(t, "topics are made", func() bool { return pipeline.ApplyTopics(ctx, own, zap.NewNop()) == nil })
			if name == pipeline.Analytics {
				waits("ClickHouse")
			} else {
				servicetest.Eventually(t, string(name)+" is ready", func() bool { status, _ := readyz(svc.Addr()); return status == http.StatusOK })
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
			const kinds = 12 // of lines, those of the library included
			if n, most := lines.Len(), kinds*(1+int(time.Since(began)/(10*time.Second))); n > most {
				t.Errorf("%d lines in %s, want at most %d", n, time.Since(began).Round(time.Second), most)
			}
		})
	}
}
