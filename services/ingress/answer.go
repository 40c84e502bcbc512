package ingress

import (
	"net/http"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// jsonContent is shared by all answers; net/http only reads it.
var jsonContent = []string{"application/json"}

// answer says 200: every item of the request is on Kafka.
func (s *Service) answer(x *exchange) {
	m := x.source.metrics
	accepted, dead := 0, 0
	items := x.batch.Items()
	for i := 0; i < len(items); {
		if f := items[i].Fault; f != "" {
			m.deadLettered[f].Inc()
			dead++
			i++
			continue
		}
		first, t := i, items[i].Event.Type
		for i < len(items) && items[i].Fault == "" && items[i].Event.Type == t {
			i++
		}
		m.published[t].Add(float64(i - first))
		m.lastEvent[t].set(x.received)
		accepted += i - first
	}
	m.taken.Inc()
	var space [64]byte
	body := append(space[:0], `{"accepted":`...)
	body = strconv.AppendInt(body, int64(accepted), 10)
	body = append(body, `,"dead_lettered":`...)
	body = strconv.AppendInt(body, int64(dead), 10)
	body = append(body, '}', '\n')
	x.w.Header()["Content-Type"] = jsonContent
	x.w.WriteHeader(x.source.answers.OK)
	_, _ = x.w.Write(body) // a sender that hung up will resend
}

// refuse answers with everything but events.
func (s *Service) refuse(x *exchange, no *refusal) {
	if x.source == nil {
		s.metrics.requests.WithLabelValues("", string(no.outcome)).Inc()
	} else {
		x.source.metrics.requests[no.outcome].Inc()
	}
	if no.share != "" {
		s.occupancy.refused[no.share].Inc()
	}
	if ended := no.share == room.Evicted || no.outcome == slow; !ended && !x.arrived && x.r.ContentLength != 0 {
		x.readUntil(time.Now().Add(lingerTime)) // the server reads on for a while
	}
	if no.outcome == probed {
		x.w.Header()["Content-Type"] = jsonContent
		_, _ = x.w.Write([]byte(`{"accepted":0,"dead_lettered":0}` + "\n")) // a probe that hung up wanted no more
		return
	}
	s.noteRefusal(x, no)
	if no.retryAfter {
		x.w.Header().Set("Retry-After", s.retryAfter)
	}
	if no.closeConn {
		x.w.Header().Set("Connection", "close")
	}
	httpserver.Problem(x.w, no.status, no.title, no.detail)
}

// notStored says that a request was refused because Kafka did not take it.
func (s *Service) notStored(err error, x *exchange) {
	s.throttled.Warn("events were not stored", telemetry.Source(x.source.name), telemetry.Fate(fate.Of(err).String()),
		telemetry.Rows(len(x.batch.Items())), telemetry.Err(err))
}

var _ http.Handler = (*Service)(nil)
