package analyticstest

import (
	"errors"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/replay"
)

// A topic that cannot take what is replayed is refused before anything is read: one that
// is not there, and those of the stream, whose readers take only what belongs there.
func TestReplay_RefusesATopicThatCannotTakeEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.history(t)
	for _, topic := range []string{"nobody-made-it", "email.bounced", "email.suppressions", "email.erasures", "email.dead-letter"} {
		request := stretch
		request.Topic = topic
		if _, err := h.Replay(t.Context(), request); !errors.Is(err, replay.ErrTopic) {
			t.Errorf("%s: %v", topic, err)
		}
	}
}

// From the first moment that there is, less what clocks may differ, is no question to Kafka.
func TestReplay_ReadsFromTheFirstMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, stop := w.analytics(t)
	w.publish(t, eventAt(1, schemas.Delivered, base()))
	w.wantSQL(t, "SELECT count() FROM events", "1")
	stop()
	r, err := w.history(t).Replay(t.Context(), replay.Request{From: time.Unix(0, 0), To: time.Unix(0, 0).AddDate(20, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := r.Scan(t.Context(), nil); err != nil || plan.Events != 0 {
		t.Errorf("%s, %v", mustJSON(t, plan), err)
	}
}
