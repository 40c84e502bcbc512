package intake_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

// TestHandle_KilledAnywhereHealsTheSame kills the process at random: before a record is in
// the topic, behind it, and before events count as read. Each time another one goes on with
// what is durable, an empty store and the topic, and reads again what did not count as read.
// Events come in the order in which they happened: a delivery that is read before what it
// heals is in the memory of its process alone.
func TestHandle_KilledAnywhereHealsTheSame(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 14))
	killed, healed := map[string]int{}, 0
	for range 300 {
		events := life(r)
		want := oracle(events)
		durable := &topic{bytesMax: 1 << 20, dies: func() (before, after bool) { n := r.IntN(10); return n == 0, n == 1 }}
		durable = untilRead(t, r, durable, inOrder(events), killed)
		f := restarted(t, durable)
		if diff := gocmp.Diff(want, read(t, f, r, nil)); diff != "" {
			t.Fatalf("seed %d: the list is another one (-sorted +killed):\n%s", seed, diff)
		}
		if len(want) == 0 && slices.ContainsFunc(events, func(e schemas.Event) bool { return e.Type == schemas.Bounced }) {
			healed++
		}
	}
	t.Logf("killed %v, %d people with bounces are not listed", killed, healed)
	if len(killed) != 2 || slices.Min(slices.Collect(maps.Values(killed))) < 50 || healed < 30 {
		t.Errorf("hardly anything was killed or healed: %v, %d", killed, healed)
	}
}

// untilRead gives events to one process after the other until all count as read, and
// returns what is durable then.
func untilRead(t *testing.T, r *rand.Rand, durable *topic, events []schemas.Event, killed map[string]int) *topic {
	t.Helper()
	f := restarted(t, durable)
	for len(events) > 0 {
		n := 1 + r.IntN(len(events))
		recs := make([]*kgo.Record, n)
		for i := range recs {
			recs[i] = &kgo.Record{Topic: schemas.EventTopic("email.", events[i].Type), Value: schemas.AppendJSON(nil, &events[i])}
		}
		switch err := f.Handle(t.Context(), recs); {
		case errors.Is(err, errKilled):
			killed["in a write"]++
			f = restarted(t, f.topic)
		case err != nil:
			t.Fatal(err)
		case r.IntN(5) == 0:
			killed["before the commit"]++
			f = restarted(t, f.topic)
		default:
			events = events[n:]
		}
	}
	return f.topic
}

// restarted is a process that knows what is in the topic.
func restarted(t *testing.T, durable *topic) fixture {
	t.Helper()
	f := newFixture(roomy)
	*f.topic = *durable
	if err := f.book.Follow(t.Context(), durable.recs); err != nil {
		t.Fatal(err)
	}
	return f
}
