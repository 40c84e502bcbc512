package ingress

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

const (
	// bodyStep is by how much the buffer of a body grows at least, and is taken from
	// the room for bodies: most webhooks fit into the first step. More is reserved
	// only as bytes arrive; otherwise a few senders that announce large bodies and
	// send nothing would block all others.
	bodyStep = 16 << 10
	// workBytesMin is from which size on an unproven body waits for a place to be
	// unpacked and checked. A smaller one takes less time than the wait: 64 KiB are
	// unpacked and checked in a fifth of a millisecond.
	workBytesMin = 64 << 10
	// gunzipBytes is what a gzip reader takes: a window of 32 KiB and its tables.
	gunzipBytes = 48 << 10
	// lingerTime bounds the wait for the rest of a body that is discarded: a sender
	// in the middle of it still gets its answer, one that stalls gets none.
	lingerTime = 500 * time.Millisecond
)

// errBodyTooLarge says that a body goes on beyond BodyBytesMax.
var errBodyTooLarge = errors.New("body is beyond the limit")

// limit takes a place for the request and for the first step of its body.
func (s *Service) limit(x *exchange) *refusal {
	guard := x.source.guard
	x.ctx, x.cancel = x.r.Context(), func() {}
	e := room.Entry{Source: x.source.room, Body: x, Proven: guard.Proves(), Bytes: firstStep(x.r.ContentLength), Now: x.received}
	if !e.Proven {
		e.Peer = guard.Peer(x.r.Request)
		x.ctx, x.cancel = context.WithCancel(x.ctx)
	}
	if err := s.room.Enter(&x.stay, e); err != nil {
		return x.full(err)
	}
	if e.Proven {
		httpserver.Trust(x.r.Request)
	}
	return nil
}

// firstStep is what the buffer of a body takes at first.
func firstStep(length int64) int64 {
	if length >= 0 && length < bodyStep {
		return length + 1 // one more, to see the end without growing
	}
	return bodyStep
}

// Interrupt ends the reading of the body and what its check waits for: another
// request needs the room, or this one is too slow. It is called only meanwhile.
func (x *exchange) Interrupt() {
	x.readUntil(time.Unix(1, 0))
	x.cancel()
}

// readUntil sets until when the request may be read. A writer that is no
// connection has no such time.
func (x *exchange) readUntil(t time.Time) {
	_ = http.NewResponseController(x.w).SetReadDeadline(t) // refused by what cannot stall
}

// receive reads the body as it comes over the wire, then unpacks it: what stalls
// half-way holds what it has sent, not what that would unpack to. The memory of a
// body is never reused: events share it until they are acknowledged.
func (s *Service) receive(x *exchange) *refusal {
	encoding := strings.ToLower(x.r.Header.Get("Content-Encoding"))
	packed := encoding == "gzip" || encoding == "x-gzip"
	if !packed && encoding != "" && encoding != "identity" {
		x.w.Header().Set("Accept-Encoding", "gzip") // RFC 9110, section 12.5.3
		return &refusal{outcome: unsupported, cause: unsupportedEncoding, status: statusOf(unsupported, x.source.answers), title: "unsupported encoding", detail: "take gzip or none", closeConn: true}
	}
	err := s.readAll(x, arriving{x})
	if ended := x.stay.Received(); ended != nil {
		err = ended
	}
	x.arrived = err == nil
	if err == nil && packed {
		err = s.unpack(x)
	}
	if err == nil {
		return nil
	}
	return s.unreceived(x, err)
}

// unreceived returns the answer for a body that could not be had.
func (s *Service) unreceived(x *exchange, err error) *refusal {
	if _, full := errors.AsType[*room.FullError](err); full {
		return x.full(err)
	}
	no := &refusal{outcome: malformed, cause: brokenBody, status: x.source.answers.Malformed, title: "malformed body", detail: "the body ended early or is not what its headers say", closeConn: true}
	switch {
	case errors.Is(err, errBodyTooLarge):
		no.outcome, no.cause, no.status, no.title, no.detail = tooLarge, bodyTooLarge, x.source.answers.TooLarge, "body too large", "the limit is "+s.cfg.BodyBytesMax.String()
	case errors.Is(err, room.ErrSlow), errors.Is(err, os.ErrDeadlineExceeded):
		no.outcome, no.cause, no.status, no.title, no.detail = slow, slowBody, x.source.answers.Slow, "body too slow", "the body did not arrive in time"
	}
	return no
}

// full asks the sender to come back: there is no room for the request.
func (x *exchange) full(err error) *refusal {
	no := x.unavailable(overloaded, tooManyRequests, "too many requests at once")
	no.closeConn = true
	if lack, ok := errors.AsType[*room.FullError](err); ok {
		no.share = lack.Share
		if lack.Bytes {
			no.cause, no.detail = tooManyBytes, "too many bytes at once"
		}
	}
	return no
}

// arriving reads a body off the wire and counts its pace.
type arriving struct{ x *exchange }

// Read reads.
func (a arriving) Read(p []byte) (int, error) {
	n, err := a.x.r.Request.Body.Read(p)
	a.x.stay.Arrived(n)
	return n, err
}

// readAll reads to the end into x.body, growing as it goes and never beyond the
// limit. The first step is taken already.
func (s *Service) readAll(x *exchange, from io.Reader) error {
	most := int64(s.cfg.BodyBytesMax)
	length := x.r.ContentLength
	if length > most {
		return errBodyTooLarge
	}
	x.body = make([]byte, 0, firstStep(length))
	for {
		n, err := from.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		if int64(len(x.body)) > most {
			return errBodyTooLarge
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(x.body) == cap(x.body) {
			if err := s.grow(x, length); err != nil {
				return err
			}
		}
	}
}

// grow doubles the buffer of the body, whose length is known or below 0. Both
// buffers are counted while there are two.
func (s *Service) grow(x *exchange, length int64) error {
	old := int64(cap(x.body))
	size := min(2*old, int64(s.cfg.BodyBytesMax)+1)
	if length >= old {
		size = min(size, length+1) // one more, to see the end without growing again
	}
	if err := x.stay.Grow(size, time.Now()); err != nil {
		return err
	}
	x.body = append(make([]byte, 0, size), x.body...)
	x.stay.Shrink(old)
	return nil
}

// unpack replaces the body by what it unpacks to. What is large and not proven
// waits for its turn before it takes more memory or time.
func (s *Service) unpack(x *exchange) error {
	packed := x.body
	if err := x.stay.Grow(gunzipBytes+bodyStep, time.Now()); err != nil {
		return err
	}
	gz, ok := s.gunzippers.Get().(*gunzipper)
	if !ok {
		gz = new(gunzipper)
	}
	gz.from.Reset(packed)
	x.body = make([]byte, 0, bodyStep)
	err := gz.Reset(&gz.from)
	if err == nil {
		err = s.inflate(x, gz)
	}
	gz.from.Reset(nil)
	s.gunzippers.Put(gz)
	x.stay.Shrink(gunzipBytes + int64(cap(packed)))
	return err
}

// gunzipper is a reader of gzip and what it reads from.
type gunzipper struct {
	gzip.Reader
	from bytes.Reader
}

func (s *Service) inflate(x *exchange, gz io.Reader) error {
	for {
		n, err := gz.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		switch {
		case len(x.body) > int(s.cfg.BodyBytesMax):
			return errBodyTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(x.body) < cap(x.body):
			continue
		}
		if len(x.body) >= workBytesMin {
			if err := x.stay.Work(x.ctx); err != nil {
				return err
			}
		}
		if err := s.grow(x, -1); err != nil {
			return err
		}
	}
}
