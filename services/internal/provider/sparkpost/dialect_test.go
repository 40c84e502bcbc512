package sparkpost

import (
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
	"testing"

	"github.com/mailstream/mailstream/schemas"
)

func TestSparkpost_ABatchHasAnIDThatARepeatHasToo(t *testing.T) {
	t.Parallel()
	one := dialect.Fact{MessageID: 1, Event: schemas.Event{Type: schemas.Delivered, SMTPReply: "250 2.0.0 queued"}}
	two := dialect.Fact{MessageID: 2, Event: schemas.Event{Type: schemas.Blocked, SMTPReply: "550 5.7.1 no"}}
	id := func(attempt int, facts ...dialect.Fact) string {
		r, err := write(facts, &dialect.Occasion{Attempt: attempt})
		if err != nil {
			t.Fatal(err)
		}
		return r.Header["X-MessageSystems-Batch-ID"]
	}
	if first := id(0, one, two); first == "" || first != id(1, one, two) || first == id(0, two) {
		t.Errorf("batch ids %q, repeated %q, of another %q", first, id(1, one, two), id(0, two))
	}
}

func TestSparkpost_BlocksAsSparkPostDoes(t *testing.T) {
	t.Parallel()
	class, event := sentObject(&dialect.Fact{Event: schemas.Event{Type: schemas.Blocked, SMTPReply: "550 5.7.1 no"}})
	if class != "message_event" || event.Class != "50" || event.Code != "550" || event.RawReason != "550 5.7.1 no" {
		t.Errorf("%s %+v: class 50 is a server's refusal, in its own words", class, event)
	}
}
