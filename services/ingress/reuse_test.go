package ingress

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
)

// reader stands for a Kafka client that goes on reading the records of requests
// it gave up on. Of three calls it takes one, gives up on one, and refuses the
// first record of one.
type reader struct {
	calls int
	held  []*kgo.Record
	was   []string // what held was when it was handed over
}

func (r *reader) Publish(_ context.Context, recs ...*kgo.Record) error {
	r.calls++
	if r.calls%3 == 0 {
		return nil
	}
	for _, rec := range recs {
		r.held, r.was = append(r.held, rec), append(r.was, spelled(rec))
	}
	if r.calls%3 == 1 {
		return fate.Wrap(fate.Retry, kafka.ErrTimeout)
	}
	return fate.Wrap(fate.DeadLetter, &produce.RecordError{Record: recs[0], Err: kafka.ErrTooLarge})
}

// spelled copies everything of a record.
func spelled(rec *kgo.Record) string {
	var b strings.Builder
	b.WriteString(rec.Topic + "\n" + string(rec.Key) + "\n" + string(rec.Value))
	for _, h := range rec.Headers {
		b.WriteString("\n" + h.Key + ": " + string(h.Value))
	}
	return b.String()
}

// TestIngress_ReusesNothingThatKafkaStillReads sends requests of every kind of
// body one after the other, each through the buffers of the one before.
func TestIngress_ReusesNothingThatKafkaStillReads(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.AllowUnauthenticated = true
	places := func(format string) *generic.Config {
		return &generic.Config{Format: format, Type: generic.OneOrMore{"/status"}, Recipient: "/to", Metadata: map[string]string{"n": "/n"}}
	}
	cfg.Sources[0].Auth = auth.Config{None: true}
	cfg.Sources = append(cfg.Sources,
		Source{Name: "form", Provider: "generic", Auth: auth.Config{None: true}, Generic: places("form")},
		Source{Name: "query", Provider: "generic", Auth: auth.Config{None: true}, Generic: places("query")},
		Source{Name: "events", Provider: "generic", Auth: auth.Config{None: true}, Generic: &generic.Config{
			Format: "cloudevents", Otherwise: "bounced", Recipient: "/subject",
		}})
	s, err := New(cfg, testShared(t, kafka.Default()))
	if err != nil {
		t.Fatal(err)
	}
	kept := new(reader)
	s.producer = kept
	getReady(t, s)
	for n := range 120 {
		id := strconv.Itoa(n)
		item := strings.ReplaceAll(bounceItem, "ana@", "\\u0061na-"+id+"@")
		fields := "status=bounced&to=ana%2D" + id + "%40example.com&n=" + strings.Repeat(id, n)
		for _, r := range []*http.Request{
			httptest.NewRequest(http.MethodPost, Prefix+testSource, strings.NewReader(group(item, 1+n%4))),
			httptest.NewRequest(http.MethodPost, Prefix+testSource, strings.NewReader(`[{"email":"no-type-`+id+`@example.com"}]`)),
			httptest.NewRequest(http.MethodPost, Prefix+"form", strings.NewReader(fields)),
			httptest.NewRequest(http.MethodGet, Prefix+"query?"+fields, nil),
			binaryEvent(id),
		} {
			s.ServeHTTP(discard{header: http.Header{}}, r)
		}
	}
	if len(kept.held) < 400 {
		t.Fatalf("%d records were handed over", len(kept.held))
	}
	for i, rec := range kept.held {
		if diff := cmp.Diff(kept.was[i], spelled(rec)); diff != "" {
			t.Fatalf("record %d was written to: %s", i, diff)
		}
	}
	if all, _ := s.room.Held(); all != (room.Amount{}) {
		t.Errorf("%+v is still counted", all)
	}
}

// binaryEvent is a CloudEvent with its attributes in headers.
func binaryEvent(id string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, Prefix+"events", bytes.NewReader(slices.Repeat([]byte{0xff}, 40)))
	for name, value := range map[string]string{
		"Content-Type": "image/png", "ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": id, "ce-subject": "%61na-" + id + "@example.com",
	} {
		r.Header.Set(name, value)
	}
	return r
}
