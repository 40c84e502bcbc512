package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/deadletter"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// serviceName is what dead letters of this service carry.
const serviceName = "ingress"

// publish puts every item on Kafka. It waits for the acknowledgement of all of
// them, not bound to the request's life: a sender that hung up will resend.
func (s *Service) publish(x *exchange) *refusal {
	for range len(x.batch.Items()) + 1 {
		s.encode(x)
		err := s.store(x)
		if err == nil {
			x.outgoing.acknowledged = true
			return nil
		}
		if fate.Of(err) == fate.DeadLetter && x.park(err) {
			continue // the items without the one that no topic takes
		}
		x.source.metrics.rejected.Add(float64(len(x.batch.Items())))
		s.notStored(err, x)
		break
	}
	return x.unavailable(unpublished, notStored, "events could not be stored")
}

// store waits for the acknowledgements no longer than the provider waits for us.
func (s *Service) store(x *exchange) error {
	if x.source.answers.ResponseTimeout == 0 {
		return s.producer.Publish(context.Background(), x.outgoing.pointers...)
	}
	// The rest is for the way of the answer.
	ctx, cancel := context.WithDeadline(context.Background(), x.received.Add(x.source.answers.ResponseTimeout*4/5))
	defer cancel()
	return s.producer.Publish(ctx, x.outgoing.pointers...)
}

// park makes the item whose record was refused a dead letter. It is false when
// the dead letter itself was refused.
func (x *exchange) park(err error) bool {
	refused, ok := errors.AsType[*produce.RecordError](err)
	if !ok {
		return false
	}
	for i, r := range x.outgoing.pointers {
		if r == refused.Record && x.batch.Items()[i].Fault == "" {
			x.batch.Items()[i].Reject(provider.TooLarge)
			x.outgoing.abandon()
			return true
		}
	}
	return false
}

// encode makes one record an item, in their order.
func (s *Service) encode(x *exchange) {
	items := x.batch.Items()
	o := &x.outgoing
	o.begin(len(items))
	marks := headerMarks{origin: x.origin()}
	if given := x.r.Header["Traceparent"]; len(given) == 1 {
		marks.traceparent = validTraceparent(given[0])
	}
	for i := range items {
		it := &items[i]
		if it.Fault == "" && !o.event(it, x.source, marks, s.recordBytesMax) {
			it.Reject(provider.TooLarge)
		}
		if it.Fault != "" {
			o.deadLetter(it, x, s.deadLetterTopic)
		}
	}
	o.finish()
}

// deadLetterOf describes an item that cannot be an event. The same bytes,
// resent, have the same ID.
func deadLetterOf(it *provider.Item, x *exchange) schemas.DeadLetter {
	return schemas.DeadLetter{
		ID: deadletter.ID(func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "%d %s %d ", len(x.source.name), x.source.name, len(it.Event.Raw)) // a hash takes everything
			_, _ = w.Write(it.Event.Raw)
		}),
		Time:       x.received.UTC(),
		Service:    serviceName,
		Reason:     string(it.Fault),
		Detail:     detailOf(it.Fault),
		Provider:   x.source.providerName,
		Source:     x.source.name,
		Bytes:      it.Event.Raw,
		ReceivedAt: x.received.UTC(),
	}
}

func detailOf(f provider.Fault) string {
	switch f {
	case provider.NotAnObject:
		return "the item is not a JSON object"
	case provider.NoType:
		return "the item does not say what happened"
	case provider.NoIdentity:
		return "the item names neither a recipient nor a message"
	case provider.RawDelivery:
		return "Amazon SES without the envelope of SNS, so nothing is signed: turn raw message delivery off in the SNS subscription"
	case provider.RetiredForm:
		return "a webhook in the form that Mailgun retired in 2018: delete it there and add the webhook anew"
	case provider.WrongForm:
		return "the item is not of the form it claims to have"
	default:
		return "the event does not fit into a record of its topic"
	}
}

// traceparentBytes is the length of version 00 (W3C Trace Context, section 3.2).
const traceparentBytes = 55

// validTraceparent returns h when it has the form of a traceparent, else "".
func validTraceparent(h string) string {
	if len(h) != traceparentBytes {
		return ""
	}
	for i := range len(h) {
		c := h[i]
		dash := i == 2 || i == 35 || i == 52
		if dash != (c == '-') || !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return ""
		}
	}
	return h
}
