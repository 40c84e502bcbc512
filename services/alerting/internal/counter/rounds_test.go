package counter

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// trial is rounds of one partition number, with what they read.
type trial struct {
	*testing.T
	rounds
	now time.Time
	id  int
}

func newTrial(t *testing.T) *trial {
	r := &trial{T: t, now: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC), rounds: rounds{
		prefix: "email.", window: time.Hour, seriesMax: 1000, log: zap.NewNop(), met: newMetrics(prometheus.NewRegistry()), sets: map[int32]*partitionSet{},
	}}
	if _, err := r.add([]int32{3}, at(0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	return r
}

// at returns offsets of partition 3 by topic.
func at(delivered, bounced, blocked int64) map[kafka.TopicPartition]int64 {
	return map[kafka.TopicPartition]int64{
		{Topic: "email.delivered", Partition: 3}: delivered, {Topic: "email.bounced", Partition: 3}: bounced, {Topic: "email.blocked", Partition: 3}: blocked,
	}
}

// reads takes a record and returns whether its partition is to be paused.
func (r *trial) reads(typ schemas.Type, offset int64) (pause bool) {
	r.id++
	e := schemas.Event{
		ID: fmt.Sprintf("0193a1b2-c3d4-8e5f-8a6b-%012x", r.id), Type: typ, Time: r.now, ReceivedAt: r.now, Source: "acme",
		MessageID: fmt.Sprint(r.id), RecipientHash: fmt.Sprintf("%032x", r.id), RecipientDomain: "d.test", Cause: schemas.CauseSender,
	}
	rec := &kgo.Record{Topic: "email." + string(typ), Partition: 3, Offset: offset, Timestamp: r.now, Value: schemas.AppendJSON(nil, &e)}
	return r.read(rec, r.now, time.Now())
}

// wants finishes the round and compares its counts, nil where it is not complete.
func (r *trial) wants(want *schemas.AlertCounts) {
	r.Helper()
	var got *schemas.AlertCounts
	for _, s := range r.finish(r.now) {
		got = new(schemas.AlertCounts)
		for _, rate := range s.ring.Take() {
			*got = rate.Series[0].Panes[0].Counts
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Errorf("counts of the round (-want +got):\n%s", diff)
	}
}

func TestRounds_CutAllTopicsAtOneMoment(t *testing.T) {
	t.Parallel()
	r := newTrial(t)
	r.begin(r.now, at(2, 0, 1))
	r.reads(schemas.Blocked, 0)
	r.reads(schemas.Blocked, 1) // after the cut: of the next round
	r.wants(nil)
	r.reads(schemas.Delivered, 0)
	r.reads(schemas.Delivered, 0) // read before
	r.wants(nil)
	r.reads(schemas.Delivered, 1)
	r.wants(&schemas.AlertCounts{Delivered: 2, Blocked: 1})
	r.wants(nil) // once
	r.begin(r.now, at(2, 0, 2))
	r.wants(&schemas.AlertCounts{Delivered: 2, Blocked: 2})
}

func TestRounds_PauseAPartitionThatIsFarAhead(t *testing.T) {
	t.Parallel()
	r := newTrial(t)
	r.begin(r.now, at(1, 0, 0))
	for offset := range int64(heldMax) {
		if paused := r.reads(schemas.Blocked, offset); paused != (offset == heldMax-1) {
			t.Fatalf("record %d: paused %t", offset, paused)
		}
	}
	r.reads(schemas.Delivered, 0)
	r.wants(&schemas.AlertCounts{Delivered: 1})
	resumed := r.begin(r.now, at(1, 0, heldMax))
	if want := []kafka.TopicPartition{{Topic: "email.blocked", Partition: 3}}; !slices.Equal(resumed, want) {
		t.Errorf("resumed %v, want %v", resumed, want)
	}
	r.wants(&schemas.AlertCounts{Delivered: 1, Blocked: heldMax})
}

func TestRounds_GoBeyondDeletedRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newTrial(t)
		r.begin(r.now, at(10, 0, 0))
		if r.stuck() {
			t.Error("stuck at once")
		}
		time.Sleep(stuckAfter + time.Second)
		if !r.stuck() {
			t.Error("not stuck")
		}
		if diff := cmp.Diff(at(10, 0, 0), r.skip(at(10, 0, 0))); diff != "" {
			t.Errorf("reads from (-want +got):\n%s", diff)
		}
		r.wants(&schemas.AlertCounts{})
		if r.stuck() {
			t.Error("stuck after its end")
		}
	})
}

func TestRounds_RefusePartitionsThatATopicDoesNotHave(t *testing.T) {
	t.Parallel()
	r := newTrial(t)
	if _, err := r.add([]int32{4}, at(0, 0, 0)); err == nil || len(r.sets) != 1 {
		t.Errorf("error %v, %d sets", err, len(r.sets))
	}
	if left := r.remove(3); len(left) != 3 || len(r.sets) != 0 {
		t.Errorf("removed %v, %d sets are left", left, len(r.sets))
	}
}
