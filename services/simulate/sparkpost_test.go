package simulate

import (
	"testing"

	"github.com/mailstream/mailstream/schemas"
)

func TestSparkpost_ABatchHasAnIDThatARepeatHasToo(t *testing.T) {
	t.Parallel()
	one := fact{messageID: 1, event: schemas.Event{Type: schemas.Delivered, SMTPReply: "250 2.0.0 queued"}}
	two := fact{messageID: 2, event: schemas.Event{Type: schemas.Blocked, SMTPReply: "550 5.7.1 no"}}
	id := func(attempt int, facts ...fact) string {
		r, err := sparkpost(facts, &occasion{attempt: attempt})
		if err != nil {
			t.Fatal(err)
		}
		return r.header["X-MessageSystems-Batch-ID"]
	}
	if first := id(0, one, two); first == "" || first != id(1, one, two) || first == id(0, two) {
		t.Errorf("batch ids %q, repeated %q, of another %q", first, id(1, one, two), id(0, two))
	}
}

func TestSparkpost_BlocksAsSparkPostDoes(t *testing.T) {
	t.Parallel()
	class, event := sparkpostObject(&fact{event: schemas.Event{Type: schemas.Blocked, SMTPReply: "550 5.7.1 no"}})
	if class != "message_event" || event.Class != "50" || event.Code != "550" || event.RawReason != "550 5.7.1 no" {
		t.Errorf("%s %+v: class 50 is a server's refusal, in its own words", class, event)
	}
}
