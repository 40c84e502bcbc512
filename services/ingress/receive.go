package ingress

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
)

// bodyStep is by how much the buffer of a body grows at least, and is taken from
// the room for bodies: most webhooks fit into the first step. More is taken only
// when it has come, or a few strangers who promise large bodies and send nothing
// would keep everybody out.
const bodyStep = 16 << 10

// errNoRoom says that bodies of other requests take all the room there is.
var errNoRoom = errors.New("no room for the body")

// errBodyTooLarge says that a body goes on beyond BodyBytesMax.
var errBodyTooLarge = errors.New("body is beyond the limit")

// receive reads the body. Its memory is never reused: events share it until they
// are acknowledged.
func (s *Service) receive(x *exchange) *refusal {
	var err error
	switch encoding := x.r.Header.Get("Content-Encoding"); strings.ToLower(encoding) {
	case "", "identity":
		err = s.readPlain(x)
	case "gzip", "x-gzip":
		err = s.readGzip(x)
	default:
		x.w.Header().Set("Accept-Encoding", "gzip") // RFC 9110, section 12.5.3
		return &refusal{outcome: unsupported, cause: unsupportedEncoding, status: statusOf(unsupported, x.source.answers), title: "unsupported encoding", detail: "take gzip or none", close: true}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNoRoom):
		no := x.unavailable(overloaded, tooManyBytes, "too many bytes at once")
		no.close = true
		return no
	case errors.Is(err, errBodyTooLarge):
		return &refusal{outcome: tooLarge, cause: bodyTooLarge, status: x.source.answers.TooLarge, title: "body too large", detail: "the limit is " + s.cfg.BodyBytesMax.String(), close: true}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{outcome: slow, cause: slowBody, status: x.source.answers.Slow, title: "body too slow", detail: "the body did not arrive in time", close: true}
	default:
		return &refusal{outcome: malformed, cause: brokenBody, status: x.source.answers.Malformed, title: "malformed body", detail: "the body ended early or is not what its headers say", close: true}
	}
}

// reserve takes n bytes of the room for bodies.
func (s *Service) reserve(x *exchange, n int64) error {
	x.reserved += n
	if s.bytes.Add(n) > int64(s.cfg.BodyBytesInFlightMax) {
		return errNoRoom
	}
	return nil
}

// readPlain reads a body as it is, into one piece of memory where it is short.
func (s *Service) readPlain(x *exchange) error {
	n := x.r.ContentLength
	if n > int64(s.cfg.BodyBytesMax) {
		return errBodyTooLarge
	}
	if n < 0 || n > bodyStep {
		return s.readOn(x, x.r.Request.Body, int(n))
	}
	if err := s.reserve(x, n); err != nil {
		return err
	}
	x.body = make([]byte, n)
	_, err := io.ReadFull(x.r.Request.Body, x.body)
	return err
}

// readGzip reads a compressed body; the limit holds for what comes out.
func (s *Service) readGzip(x *exchange) error {
	if x.r.ContentLength > int64(s.cfg.BodyBytesMax) {
		return errBodyTooLarge
	}
	gz, ok := s.gunzippers.Get().(*gzip.Reader)
	if !ok {
		gz = new(gzip.Reader)
	}
	defer s.gunzippers.Put(gz)
	if err := gz.Reset(x.r.Request.Body); err != nil {
		return err
	}
	return s.readOn(x, gz, -1)
}

// readOn reads to the end, growing as it goes and never beyond the limit. length
// is what the sender promised, -1 for nothing.
func (s *Service) readOn(x *exchange, from io.Reader, length int) error {
	most := int(s.cfg.BodyBytesMax)
	for {
		if len(x.body) == cap(x.body) {
			size := min(max(2*cap(x.body), bodyStep), most+1)
			if length > cap(x.body) {
				size = min(size, length+1) // one more, to see the end without growing again
			}
			if err := s.reserve(x, int64(size-cap(x.body))); err != nil {
				return err
			}
			grown := make([]byte, len(x.body), size)
			copy(grown, x.body)
			x.body = grown
		}
		n, err := from.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		if len(x.body) > most {
			return errBodyTooLarge
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
