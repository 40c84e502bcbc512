package store

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
)

// judges answers with judgements, and counts how often it is asked.
type judges struct {
	judgements []judgement
	asked      int
}

func (j *judges) Select(_ context.Context, dest any, _ string, _ ...any) error {
	j.asked++
	*dest.(*[]judgement) = j.judgements
	return nil
}

// Rows of people who are forgotten have the judgement that is stored; of others nobody asks.
func TestRecall_GivesForgottenActsTheirJudgement(t *testing.T) {
	t.Parallel()
	act := func(id, hash, more string) *kgo.Record {
		return eventRecord(`{"id":"0193486f-5a00-8abc-9def-00000000000` + id + `","type":"opened","time":"2026-11-20T10:00:00Z","received_at":"2026-11-20T10:00:01Z","provider":"p","source":"s","recipient_hash":"` + hash + `"` + more + `}`)
	}
	b := NewBlock(schemas.DefaultTopicPrefix, one{Hash: erasedHash, ErasedAt: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}, nil)
	asker := &judges{judgements: []judgement{
		{"0193486f-5a00-8abc-9def-000000000001", "too_soon", 7}, {"0193486f-5a00-8abc-9def-000000000002", "", 9},
	}}
	add := func(recs ...*kgo.Record) {
		t.Helper()
		for _, rec := range recs {
			if err := b.Append(rec); err != nil {
				t.Fatal(err)
			}
		}
		if err := Recall(t.Context(), asker, b); err != nil {
			t.Fatal(err)
		}
	}
	add(act("0", "another", ""), eventRecord(fullEvent))
	if asker.asked != 0 {
		t.Error("it asked of others, or of what is not judged")
	}
	b.Reset()
	add(act("1", erasedHash, `,"machine":false`), act("2", erasedHash, `,"machine":false`), act("3", erasedHash, ""))
	srv := clickhousetest.Start(t)
	client, err := clickhouse.Open(srv.Config(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := Insert(t.Context(), client, b); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	want := []clickhousetest.Row{
		{"machine": &yes, "machine_before": &no, "machine_reason": "too_soon", "judged": uint64(7)},
		{"machine": &no, "machine_before": nil, "machine_reason": "", "judged": uint64(9)},
		{"machine": nil, "machine_before": nil, "machine_reason": "", "judged": uint64(0)},
	}
	var got []clickhousetest.Row
	for _, row := range srv.Rows("event_log") {
		got = append(got, clickhousetest.Row{"machine": row["machine"], "machine_before": row["machine_before"], "machine_reason": row["machine_reason"], "judged": row["judged"]})
		if row["recipient_hash"] != "" {
			t.Error("the person is back")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || asker.asked != 1 {
		t.Errorf("asked %d times, want once; rows (-want +got):\n%s", asker.asked, diff)
	}
}
