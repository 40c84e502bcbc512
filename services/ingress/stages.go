package ingress

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/fingerprint"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// Prefix is where the sources are: Prefix + name, with a secret behind it where
// the source's auth.path says so.
const Prefix = "/v1/webhooks/"

const (
	// itemBytes is what an item takes beside its bytes: the event, its record and
	// the record's headers.
	itemBytes = 1 << 10
	// growBytesMin is what is not worth the counting.
	growBytesMin = 4 << 10
)

// grow takes n bytes more of the room for what the body becomes.
func (x *exchange) grow(n int64) error {
	if n < growBytesMin {
		return nil
	}
	return x.stay.Grow(n, x.received)
}

// depthMax bounds arrays and objects inside each other. Providers nest up to six
// deep; 64 leaves room and costs nothing.
const depthMax = 64

// route finds the source. GET and HEAD are the probes of providers that look
// before they send: 200 and nothing else. To a source that takes its events in
// the URL, a GET with parameters is an event.
func (s *Service) route(x *exchange) *refusal {
	name, ok := strings.CutPrefix(x.r.URL.Path, Prefix)
	if !ok {
		return &refusal{outcome: unknownSource, cause: s.causeOfPath(x.r.URL.Path), status: http.StatusNotFound, title: "not found", detail: "webhooks are at " + Prefix + "SOURCE"}
	}
	name, x.r.PathSecret, _ = strings.Cut(name, "/")
	found, ok := s.sources[name]
	no := &refusal{outcome: unknownSource, cause: unknownName, status: http.StatusNotFound, title: "unknown source", detail: "no source of this name is configured"}
	if !ok {
		return no
	}
	if x.r.PathSecret != "" && !found.guard.WantsPathSecret() {
		no.cause, no.sourceName = unexpectedPath, found.name // the sender sees no difference
		return no
	}
	x.source = found
	switch x.r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodHead:
		if x.fields() == "" || x.r.Method == http.MethodHead {
			return &refusal{outcome: probed, status: http.StatusOK}
		}
		x.w.Header().Set("Cache-Control", "no-store") // the next one is another event
	case http.MethodOptions:
		if origin, ok := generic.Consents(found.origins, x.r.Header); ok {
			x.w.Header().Set("WebHook-Allowed-Origin", origin)
			x.w.Header().Set("WebHook-Allowed-Rate", "*")
			x.w.Header().Set("Allow", http.MethodPost)
			return &refusal{outcome: probed, status: http.StatusOK}
		}
		fallthrough
	default:
		x.w.Header().Set("Allow", "POST, GET, HEAD")
		return &refusal{outcome: wrongMethod, cause: notPosted, status: http.StatusMethodNotAllowed, title: "wrong method", detail: "webhooks are posted"}
	}
	if !s.life.IsReady() {
		return x.unavailable(notReady, starting, "starting: topics are not checked yet")
	}
	return nil
}

// fields returns the parameters of the URL where they are the event; "" for all
// other sources.
func (x *exchange) fields() string {
	if !x.source.inQuery {
		return ""
	}
	return x.source.guard.Fields(x.r.URL.RawQuery)
}

// authenticate decides before the body is read.
func (s *Service) authenticate(x *exchange) *refusal {
	if proof := x.source.guard.VerifyHeaders(&x.r); proof != auth.Proven {
		return x.unauthorized(causeOfProof(proof))
	}
	return nil
}

// verify decides from the body's raw bytes.
func (s *Service) verify(x *exchange) *refusal {
	guard := x.source.guard
	if !guard.Signed() {
		return nil
	}
	x.r.Body = x.body
	if len(x.body) > workBytesMin {
		if err := x.stay.Work(x.ctx); err != nil {
			return x.full(err)
		}
	}
	x.r.Peer, x.r.Known, x.r.Waits = x.stay.Peer(), x.stay.Known(), x.waitForKey
	verdict := guard.VerifyBody(x.ctx, &x.r)
	x.stay.EndWork()
	if err := x.stay.Received(); err != nil {
		return x.full(err)
	}
	switch verdict {
	case webhookverify.Genuine:
		x.stay.Prove()
		httpserver.Trust(x.r.Request)
		return nil
	case webhookverify.Settled:
		return &refusal{outcome: probed, status: http.StatusOK}
	case webhookverify.Unsure:
		return x.unavailable(unproven, keyUnavailable, "the signature could not be checked")
	default:
		return x.unauthorized(x.causeOfVerdict(verdict))
	}
}

// waitForKey says that something is fetched: others may work meanwhile, and have
// the room.
func (x *exchange) waitForKey() {
	x.stay.EndWork()
	x.stay.Wait()
}

// decode lets the provider's package find the items.
func (s *Service) decode(x *exchange) *refusal {
	x.request = provider.Request{
		Header: x.r.Header,
		Query:  x.fields(),
		Body:   x.body,
		// A form may be longer once it is JSON, and has to fit into a dead letter.
		Limits: jsontext.Limits{Depth: depthMax, Items: s.cfg.ItemsMax, Bytes: int(s.cfg.BodyBytesMax)},
	}
	if err := x.grow(jsontext.IndexBytes(x.body)); err != nil {
		return x.full(err)
	}
	err := x.source.provider.Decode(&x.request, &x.batch)
	if err == nil {
		if err := x.grow(itemBytes * int64(len(x.batch.Items()))); err != nil {
			return x.full(err)
		}
		x.source.metrics.received.Add(float64(len(x.batch.Items())))
		s.noteDrift(x)
		return nil
	}
	no := &refusal{outcome: malformed, cause: x.causeOfBody(malformedBody), status: x.source.answers.Malformed, title: "malformed body", detail: err.Error()}
	if limit, ok := errors.AsType[*jsontext.LimitError](err); ok {
		no.outcome, no.cause, no.title = malformed, tooDeep, "beyond a limit"
		if limit.Limit != jsontext.Depth {
			no.outcome, no.cause, no.status = tooLarge, tooManyItems, x.source.answers.TooLarge
		}
	}
	return no
}

// normalise completes every item but its id.
func (s *Service) normalise(x *exchange) *refusal {
	o := normalise.Origin{Provider: x.source.providerName, Source: x.source.name, ReceivedAt: x.received}
	items := x.batch.Items()
	for i := range items {
		it := &items[i]
		if it.Fault != "" {
			continue
		}
		s.normaliser.Complete(it, o)
		if !normalise.Believed(it) {
			s.countDrift(x, provider.BadTime, x.batch.TimePath(it))
		}
	}
	return nil
}

// fingerprint gives every event its id.
func (s *Service) fingerprint(x *exchange) *refusal {
	items := x.batch.Items()
	for i := range items {
		it := &items[i]
		if it.Fault != "" {
			continue
		}
		x.scratch = fingerprint.Set(it, x.scratch)
	}
	return nil
}

// unauthorized refuses without saying why. The answer is the same for all
// unauthenticated requests, so it reveals nothing.
func (x *exchange) unauthorized(why cause) *refusal {
	no := &refusal{
		outcome: unauthenticated, cause: why, status: x.source.answers.Unauthenticated, closeConn: true,
		title: "unauthenticated", detail: "credentials are missing or wrong",
	}
	challenge := x.source.guard.Challenge()
	if x.source.answers.ChallengeFirst && challenge != "" && x.r.Header.Get("Authorization") == "" {
		// Only a 401 makes the sender repeat with credentials (RFC 9110, section
		// 11.6.1), although the provider gives up after any other 401. A wrong
		// password gets the status after which the provider tries again.
		no.status = http.StatusUnauthorized
	}
	if challenge != "" && no.status == http.StatusUnauthorized {
		x.w.Header().Set("WWW-Authenticate", challenge)
	}
	return no
}

// unavailable asks the sender to come back.
func (x *exchange) unavailable(o outcome, why cause, detail string) *refusal {
	return &refusal{outcome: o, cause: why, status: x.source.answers.Unavailable, title: "unavailable", detail: detail, retryAfter: true}
}
