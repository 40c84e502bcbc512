package ingress

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/ingress/internal/unsubscribe"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// stage is one step of a request. It returns nil when the next one may begin,
// else the refusal that is the answer.
type stage struct {
	name string
	do   func(*Service, *exchange) *refusal
}

// path is the way of a request, top to bottom. What authenticate refuses costs no
// memory. Who is proven only by the body has a part of the room until verify has
// seen it, and looks into nothing of it before. What publish lets through is on
// Kafka; all else is refused whole.
var path = []stage{
	{"route", (*Service).route},               // which source, by the URL
	{"authenticate", (*Service).authenticate}, // what address, headers and URL prove
	{"limit", (*Service).limit},               // is there room for one more, proven or not
	{"receive", (*Service).receive},           // the body, whole and within limits
	{"verify", (*Service).verify},             // what its raw bytes prove
	{"decode", (*Service).decode},             // bytes to items: the provider's package
	{"normalise", (*Service).normalise},       // the same vocabulary for all providers
	{"fingerprint", (*Service).fingerprint},   // the id a repeat has too
	{"publish", (*Service).publish},           // acknowledged by Kafka, or refused
}

// exchange is one request on its way. It is reused by later requests.
type exchange struct {
	w        http.ResponseWriter
	r        auth.Request
	source   *source
	received time.Time
	stay     room.Stay       // what it holds of the room
	ctx      context.Context // of the check of an unproven request
	cancel   context.CancelFunc
	arrived  bool // the body has been read to its end
	body     []byte
	request  provider.Request
	batch    provider.Batch
	scratch  []byte
	outgoing outgoing
}

// refusal is an answer that is not 200.
type refusal struct {
	outcome    outcome
	cause      cause  // for the operator; "" of a probe
	sourceName string // where the exchange has no source, though one is meant
	status     int
	title      string
	detail     string
	share      room.Share // what was full, where something was
	retryAfter bool       // say when to come back
	closeConn  bool       // the rest of the body is not worth reading
}

// ServeHTTP takes one request along the path and answers it. What a person does by a
// link of List-Unsubscribe is not a webhook and has a door of its own.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.unsubscribe != nil && strings.HasPrefix(r.URL.Path, unsubscribe.Prefix) {
		s.unsubscribe.ServeHTTP(w, r)
		return
	}
	x := s.exchanges.Get().(*exchange)
	x.w, x.r.Request, x.received = w, r, time.Now()
	defer s.release(x)
	for i := range path {
		if no := path[i].do(s, x); no != nil {
			s.refuse(x, no)
			return
		}
	}
	s.answer(x)
}

// release gives back what x holds. Its buffers are reused only when publish has
// seen every record acknowledged; until then Kafka's client reads them.
func (s *Service) release(x *exchange) {
	s.metrics.seconds.Observe(time.Since(x.received).Seconds())
	x.stay.Leave()
	if x.cancel != nil {
		x.cancel()
	}
	if !x.outgoing.settled() {
		return
	}
	x.batch.Reset()
	x.outgoing.reset()
	*x = exchange{batch: x.batch, scratch: x.scratch, outgoing: x.outgoing}
	s.exchanges.Put(x)
}
