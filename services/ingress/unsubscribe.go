package ingress

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/unsubscribe"
	"github.com/mailstream/mailstream/services/internal/fingerprint"
	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// UnsubscribeMail is what a link of List-Unsubscribe says: who got which mail.
type UnsubscribeMail = unsubscribe.Mail

// UnsubscribeLink returns the URL of List-Unsubscribe for one mail, signed with the
// first of unsubscribe.signing_keys.
func (c Config) UnsubscribeLink(m UnsubscribeMail) (string, error) { return c.Unsubscribe.Link(m) }

// errStarting says that the topics are not checked yet.
var errStarting = errors.New("starting: topics are not checked yet")

// addUnsubscribe serves the links of List-Unsubscribe, where they are configured.
func (s *Service) addUnsubscribe(reg prometheus.Registerer) error {
	if !s.cfg.Unsubscribe.Enabled() {
		return nil
	}
	from := &source{
		name: s.cfg.Unsubscribe.Source, providerName: schemas.ProviderUnsubscribe,
		cloudEventSource: []byte(schemas.CloudEventSource(s.cfg.Unsubscribe.Source)), kinds: s.kinds(),
	}
	handler, err := unsubscribe.New(s.cfg.Unsubscribe, unsubscribe.Options{
		Publish:    func(ctx context.Context, it *provider.Item) error { return s.publishOne(ctx, from, it) },
		RetryAfter: s.retryAfter, Log: s.log, Registry: reg,
	})
	s.unsubscribe = handler
	return err
}

// publishOne stores an event that did not come by a webhook: the path from normalise on.
func (s *Service) publishOne(ctx context.Context, from *source, it *provider.Item) error {
	if !s.life.IsReady() {
		return fate.Wrap(fate.Retry, errStarting)
	}
	s.normaliser.Complete(it, normalise.Origin{Provider: from.providerName, Source: from.name, ReceivedAt: time.Now()})
	if it.Fault == "" {
		fingerprint.Set(it, nil)
	}
	var o outgoing
	o.begin(1)
	if it.Fault != "" || !o.event(it, from, headerMarks{origin: originLive}, s.recordBytesMax) {
		return fate.Wrap(fate.DeadLetter, errors.New("the link makes no valid event: it was not made by this service"))
	}
	o.finish()
	return s.producer.Publish(ctx, o.pointers...)
}
