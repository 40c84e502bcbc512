package counter

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/reply"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
)

// The reasons why a record cannot be counted.
var (
	errNotJSON = errors.New("event is not JSON")
	errNoID    = errors.New("event has no id")
	errNoTime  = errors.New("event has no readable time")
)

const (
	// skewMax is how far ahead of its record an event's time may be before the
	// provider's clock is called wrong.
	skewMax = 5 * time.Minute
	// nameBytesMax bounds a domain (RFC 1035, section 2.3.4) and, as good a bound
	// as any, the name of a mailbox provider or source.
	nameBytesMax = 253
	// invalidName replaces a name beyond nameBytesMax, so that such mail is still
	// counted and seen.
	invalidName = "__invalid__"
)

// decoder reads event records. It keeps its buffers between calls, so it belongs
// to one loop.
type decoder struct {
	literal map[string]bool // providers whose bounces are never blocks
	event   schemas.Reader
}

// decode reads one event record. An event is placed by its own time, but never
// after its record was written: providers' clocks run ahead. Placing by the
// record rather than by our clock gives the same pane when it is reread. A
// field of the wrong type counts as absent.
func (d *decoder) decode(rec *kgo.Record, kind window.Kind) (o window.Observation, skewed bool, err error) {
	e := &d.event
	if err := e.Read(rec.Value); err != nil {
		if _, ok := errors.AsType[*schemas.FieldError](err); !ok {
			return o, false, errNotJSON
		}
	}
	if len(e.ID) == 0 {
		return o, false, errNoID
	}
	var at time.Time
	if len(e.Time) > 0 {
		if at, err = schemas.ParseTime(e.Time); err != nil {
			return o, false, errNoTime
		}
	}
	if at.IsZero() || at.After(rec.Timestamp) {
		skewed = at.Sub(rec.Timestamp) > skewMax
		at = rec.Timestamp
	}
	if kind == window.Bounced && d.refused(&e.EventView) {
		kind = window.Blocked
	}
	o.ID, o.Pane, o.Kind = string(e.ID), window.PaneOf(at), kind
	o.Milli = uint16(min(max(at.UnixMilli()-o.Pane.Start()*1000, 0), window.PaneLength.Milliseconds()-1))
	o.MessageID = string(e.MessageID)
	if o.Recipient = string(e.RecipientHash); o.Recipient == "" {
		o.Recipient = string(e.Recipient)
	}
	o.Source, o.Domain, o.Provider = bounded(e.Source), bounded(e.RecipientDomain), bounded(e.MailboxProvider)
	if kind == window.Blocked {
		o.Reason, o.Cause = schemas.Reason(e.Reason), schemas.Cause(e.Cause)
		shown := []rune(listing(&e.EventView) + reply.Mask(string(e.SMTPReply), string(e.Recipient)))
		o.Sample = string(shown[:min(len(shown), reply.RunesMax)])
	}
	return o, skewed, nil
}

// listing names the blocklist, the address or domain of ours on it and where to look
// it up, in front of the reply that a message shows; "" when none is named.
func listing(e *schemas.EventView) string {
	if len(e.Blocklist) == 0 {
		return ""
	}
	out := bounded(e.Blocklist)
	for _, text := range [...][]byte{e.BlocklistSubject, e.BlocklistURL} {
		if len(text) > 0 {
			out += " " + bounded(text)
		}
	}
	return out + ": "
}

// refused says that a bounce is what other providers call a block: a server would
// not take the message because of its sender or its content. Providers with a
// word of their own for that are taken by it.
func (d *decoder) refused(e *schemas.EventView) bool {
	if d.literal[string(e.Provider)] {
		return false
	}
	cause := schemas.Cause(e.Cause)
	return cause == schemas.CauseSender || cause == schemas.CauseContent
}

func bounded(name []byte) string {
	if len(name) > nameBytesMax {
		return invalidName
	}
	return string(name)
}

// isReplay says whether the record was made from history: replayed, or fetched from
// the provider afterwards. Live and simulated mail is judged.
func isReplay(rec *kgo.Record) bool {
	for _, h := range rec.Headers {
		switch {
		case h.Key == schemas.HeaderReplay,
			h.Key == schemas.HeaderOrigin && (string(h.Value) == string(schemas.OriginReplay) || string(h.Value) == string(schemas.OriginBackfill)):
			return true
		}
	}
	return false
}
