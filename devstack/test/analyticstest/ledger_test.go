package analyticstest

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/deadletters"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/subject"
)

// TestErasures_NobodyIsWrittenWhileTheyCannotBeRead has a record in their topic that is
// none. Everything that could bring a person back waits or is refused, and says which record
// it is; once it is gone, nothing is lost.
func TestErasures_NobodyIsWrittenWhileTheyCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms}`, `privacy: {pepper: 0123456789abcdef0123456789abcdef}`)
	core, lines := observer.New(zapcore.WarnLevel)
	svc, err := pipeline.New(w.cfg, pipeline.Analytics, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	stop := stopper(t, servicetest.Start(t, svc))
	w.lettersOf(t, 1)
	w.produce(t, &kgo.Record{Topic: "email.erasures", Key: []byte("aa"), Value: []byte("ana@example.com")})
	const says = "the value is not an erasure"
	servicetest.EventuallyOr(t, func() bool {
		text := readyz(t, svc)
		return strings.HasPrefix(text, "503") && strings.Contains(text, says)
	}, func() string { return readyz(t, svc) })
	w.publish(t, eventAt(1, schemas.Delivered, base()))
	servicetest.Eventually(t, "a batch has to wait", func() bool {
		return lines.FilterMessage("batch was not handled and will be tried again").Len() > 0
	})
	w.refusesAll(t, says)
	if got := w.sql(t, "SELECT count() FROM events"); got != "0" || w.published(t) != 0 {
		t.Errorf("%s events are stored, %d published", got, w.published(t))
	}
	stop()

	admin := kadm.NewClient(w.client)
	all, err := admin.ListEndOffsets(t.Context(), "email.erasures")
	if err != nil {
		t.Fatal(err)
	}
	if deleted, err := admin.DeleteRecords(t.Context(), all.Offsets()); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	_, stop = w.analytics(t)
	w.wantSQL(t, "SELECT count() FROM events", "1")
	stop()

	if _, err := admin.DeleteTopics(t.Context(), "email.erasures"); err != nil {
		t.Fatal(err)
	}
	w.refusesAll(t, `read erasures of "email.erasures": list offsets: topic does not exist`)
}

// refusesAll wants the error of each command to say why it does not know who was forgotten.
func (w *world) refusesAll(t *testing.T, says string) {
	t.Helper()
	h := w.history(t)
	ctx := t.Context()
	refused := map[string]error{}
	_, refused["replay"] = h.Replay(ctx, stretch)
	_, refused["reclassify"] = h.Replay(ctx, reclassified)
	_, refused["redrive"] = h.Desk.Plan(ctx, deadletters.Request{Kind: schemas.OperationRedrive, All: true, Rate: 1, By: "ana", Role: "command"}, 1)
	_, refused["forget"] = pipeline.Forget(ctx, w.cfg, subject.Forget{Addresses: []string{resident(1)}, Reason: "request 4711"}, zap.NewNop())
	for name, err := range refused {
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "ana@") {
			t.Errorf("%s: %v, want %s", name, err, says)
		}
	}
}
