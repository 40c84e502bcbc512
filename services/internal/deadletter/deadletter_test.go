package deadletter_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/deadletter"
)

func TestOfRecord_IsTheSameWheneverTheRecordIsRead(t *testing.T) {
	t.Parallel()
	rec := &kgo.Record{Topic: "email.bounced", Partition: 3, Offset: 42, Value: []byte("{")}
	one := deadletter.OfRecord(rec, "", schemas.DeadLetter{Service: "analytics", Time: time.Unix(1, 0)})
	two := deadletter.OfRecord(rec, "", schemas.DeadLetter{Service: "analytics", Time: time.Unix(2, 0)})
	if one.ID != two.ID || one.Origin != "email.bounced/3/42" || string(one.Bytes) != "{" {
		t.Errorf("%+v and %+v", one, two)
	}
	// Written down: a service that is updated must not give up a record twice.
	if want := "4e32795d1e666d10b9a1166ec355139a"; one.ID != want {
		t.Errorf("ID is %s, was %s", one.ID, want)
	}
	other := *rec
	other.Offset++
	for name, d := range map[string]schemas.DeadLetter{
		"another record":  deadletter.OfRecord(&other, "", schemas.DeadLetter{Service: "analytics", Time: time.Unix(1, 0)}),
		"another service": deadletter.OfRecord(rec, "suppression\x00", schemas.DeadLetter{Service: "suppression", Time: time.Unix(1, 0)}),
	} {
		if d.ID == one.ID {
			t.Errorf("%s has the same ID", name)
		}
	}
}

func TestRecord_HasItsBytesWhateverItsTimes(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.UnixMilli(1<<63 - 1), time.UnixMilli(-1 << 63), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		d := schemas.DeadLetter{ID: "i", Time: at, ReceivedAt: at, Service: "s", Reason: "r", Bytes: []byte("\xff\x00{")}
		rec := deadletter.Record("t", d, schemas.OriginReplay)
		var got schemas.DeadLetter
		if err := json.Unmarshal(rec.Value, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d.Bytes, got.Bytes); diff != "" || string(rec.Key) != "i" || rec.Topic != "t" || len(rec.Headers) != 2 || deadletter.OriginOf(&rec) != schemas.OriginReplay {
			t.Errorf("at %v: %s %+v", at, diff, rec)
		}
	}
}
