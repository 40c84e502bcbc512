package suppression_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/erasure"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

// TestService_ListsNobodyWhileTheErasuresCannotBeRead, since it might be somebody who has to
// be forgotten. It says why, and once it can read them nothing was lost.
func TestService_ListsNobodyWhileTheErasuresCannotBeRead(t *testing.T) {
	t.Parallel()
	const topic = "email.erasures"
	for name, tt := range map[string]struct {
		spoil, mend func(testing.TB, kafka.Config)
		says        string
	}{
		"a record is no erasure": {
			func(tb testing.TB, cfg kafka.Config) {
				kafkatest.Produce(tb, cfg, &kgo.Record{Topic: topic, Key: []byte("aa"), Value: []byte("ana@example.com")})
			},
			func(tb testing.TB, cfg kafka.Config) { kafkatest.Remake(tb, cfg, topic) },
			"the value is not an erasure",
		},
		"the topic is gone": {
			func(tb testing.TB, cfg kafka.Config) { kafkatest.Delete(tb, cfg, topic) },
			func(tb testing.TB, cfg kafka.Config) { kafkatest.Make(tb, cfg) },
			"does not exist",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker, dir := kafkatest.StartVirtual(t), t.TempDir()
				core, lines := observer.New(zapcore.WarnLevel)
				r := start(t, options{broker: broker, dir: dir, log: zap.New(core)})
				tt.spoil(t, broker.Config)
				servicetest.Eventually(t, "it says why it waits", func() bool {
					status, text := r.ask(http.MethodGet, "/readyz", nil)
					return status == http.StatusServiceUnavailable && strings.Contains(string(text), tt.says) && !strings.Contains(string(text), "ana")
				})
				time.Sleep(2 * erasure.StaleAfter) // what it had read may be as old
				publish(t, broker.Config, event(t, schemas.Bounced, "hard@example.com", 1, hard))
				servicetest.Eventually(t, "a batch has to wait", func() bool {
					return lines.FilterMessage("batch was not handled and will be tried again").Len() > 0
				})
				if got := r.check("hard@example.com", "marketing"); got != "" || len(kafkatest.ReadAll(t, broker.Config, "email.suppressions")) > 0 {
					t.Errorf("it listed somebody: %q", got)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				tt.mend(t, broker.Config)
				start(t, options{broker: broker, dir: dir}).wantCheck("hard@example.com", "marketing", "hard_bounce")
			})
		})
	}
}
