package providertest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider/dialect"
)

// MessageID is the message of Happened, beyond 2^53.
const MessageID = 576_460_761_234_567_890

// Happened returns a fact for a dialect to write.
func Happened(t schemas.Type, b schemas.BounceType, reply string) dialect.Fact {
	return dialect.Fact{MessageID: MessageID, Campaign: "simulated", Event: schemas.Event{
		Type: t, BounceType: b, SMTPReply: reply, Recipient: "ana@example.com", Time: time.Date(2026, 3, 4, 9, 15, 30, 0, time.UTC),
	}}
}

// Play returns the request that d writes of one fact, signed with the published
// keys.
func Play(tb testing.TB, d dialect.Dialect, f dialect.Fact, attempt int) dialect.Request {
	tb.Helper()
	o := dialect.Occasion{Attempt: attempt, PublicURL: "http://127.0.0.1:8080/v1/webhooks/source"}
	if err := d.Prepare(&o); err != nil {
		tb.Fatal(err)
	}
	r, err := d.Compose([]dialect.Fact{f}, &o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// PlayObject is Play of a request whose body is a JSON object, and that object.
func PlayObject(tb testing.TB, d dialect.Dialect, f dialect.Fact) (r dialect.Request, body map[string]any) {
	tb.Helper()
	r = Play(tb, d, f, 0)
	if err := json.Unmarshal(r.Body, &body); err != nil {
		tb.Fatal(err)
	}
	return r, body
}

// Within returns a member of nested JSON objects.
func Within(body map[string]any, path ...string) any {
	var v any = body
	for _, name := range path {
		v = v.(map[string]any)[name]
	}
	return v
}
