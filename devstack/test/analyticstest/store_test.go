package analyticstest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// eventAt makes the n-th event of a message; the same arguments make the same
// event.
func eventAt(n int, typ schemas.Type, at time.Time) schemas.Event {
	person := fmt.Sprintf("%032x", n%97)
	return schemas.Event{
		ID:              fmt.Sprintf("%012x-8000-8000-%012x", at.UnixMilli(), n)[:8] + "-" + fmt.Sprintf("%012x", at.UnixMilli())[8:] + fmt.Sprintf("-8%03x-8000-%012x", typeNumber(typ), n),
		Type:            typ,
		Time:            at,
		ReceivedAt:      at.Add(time.Second),
		Provider:        "mailjet",
		Source:          "acme",
		ProviderEvent:   "sent",
		MessageID:       fmt.Sprint(uint64(19421777835146490) + uint64(n)),
		Recipient:       person[28:] + "@example.com",
		RecipientDomain: "example.com",
		RecipientHash:   person,
		MailboxProvider: "google",
		Campaign:        "spring",
		Raw:             []byte(fmt.Sprintf(`{"event":"sent","MessageID":%d}`, uint64(19421777835146490)+uint64(n))),
	}
}

func typeNumber(typ schemas.Type) int {
	for i, t := range schemas.Types() {
		if t == typ {
			return i
		}
	}
	return 0xfff
}

func shuffle[T any](list []T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, seed))
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func base() time.Time { return time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC) }

func TestEvents_RepeatsChangeNoCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(t, "SYSTEM STOP MERGES event_log") // which would remove the repeats
	w.analytics(t)
	const messages = 200
	var all []schemas.Event
	for n := range messages {
		at := base().Add(time.Duration(n) * 37 * time.Second) // over two hours
		all = append(all, eventAt(n, schemas.Processed, at), eventAt(n, schemas.Delivered, at.Add(time.Second)))
		if n%2 == 0 {
			all = append(all, eventAt(n, schemas.Opened, at.Add(time.Minute)))
		}
	}
	for seed := range uint64(3) {
		shuffle(all, seed)
		w.publish(t, all...)
	}
	w.wantSQL(t, "SELECT count() FROM event_log", fmt.Sprint(3*len(all)))
	for query, want := range map[string]string{
		"SELECT count(), uniqExact(id) FROM events":                                                     "500\t500",
		"SELECT sum(events) FROM rates_1m":                                                              "500",
		"SELECT sum(events) FROM rates_1h":                                                              "500",
		"SELECT sum(events) FROM rates_1h WHERE type = 'opened'":                                        "100",
		"SELECT count(), countIf(delivered IS NOT NULL), countIf(first_open IS NOT NULL) FROM messages": "200\t200\t100",
		"SELECT count() FROM messages WHERE first_open - delivered = 59":                                "100",
	} {
		w.wantSQL(t, query, want) // the views are filled a moment after event_log
	}
}
