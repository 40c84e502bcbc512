package alerting

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// Trial is what came of a test of a receiver.
type Trial struct {
	Receiver string `json:"receiver"`
	// Outcome is delivered; accepted, where the receiver says no more than that; failed,
	// where trying later may help; or refused.
	Outcome string `json:"outcome"`
	// Answer is one word for why it was not delivered.
	Answer string `json:"answer,omitempty"`
	// Detail is the error, without secrets.
	Detail string `json:"detail,omitempty"`
}

// OK says whether the receiver took the messages.
func (t Trial) OK() bool { return t.Answer == "" }

// UnknownReceiverError says that there is no receiver of a name.
type UnknownReceiverError struct {
	Name  string
	Known []string
}

// Error lists the names there are.
func (e *UnknownReceiverError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("find receiver %q: none is configured", e.Name)
	}
	return fmt.Sprintf("find receiver %q: it is not configured; there are %s", e.Name, strings.Join(e.Known, ", "))
}

// TryReceiver sends the receiver called name the beginning and the end of an incident
// that both say that they are a test.
func TryReceiver(ctx context.Context, cfg Config, name string, log *zap.Logger) (Trial, error) {
	return cfg.try(ctx, name, receiver.Options{Links: cfg.Links, Log: log})
}

func (c Config) try(ctx context.Context, name string, opt receiver.Options) (Trial, error) {
	all := c.receivers()
	i := slices.IndexFunc(all, func(r receiver.Config) bool { return r.Name == name })
	if i < 0 {
		unknown := &UnknownReceiverError{Name: name}
		for _, r := range all {
			unknown.Known = append(unknown.Known, r.Name)
		}
		return Trial{}, unknown
	}
	trial := Trial{Receiver: name, Outcome: "delivered"}
	if all[i].Accepts() {
		trial.Outcome = "accepted"
	}
	if err := deliverExample(ctx, all[i].Build(opt), time.Now()); err != nil {
		trial.Outcome, trial.Answer, trial.Detail = "failed", "error", err.Error()
		if fate.Final(err) {
			trial.Outcome = "refused"
		}
		if f, ok := errors.AsType[*outbox.Fault](err); ok {
			trial.Answer = f.Reason
		}
	}
	return trial, nil
}

// deliverExample delivers a beginning and an end, the end where the beginning is.
func deliverExample(ctx context.Context, to outbox.Receiver, now time.Time) error {
	begin, end := wording.Example(schemas.NotifyFiring, now), wording.Example(schemas.NotifyResolved, now)
	referrer, ok := to.(outbox.Referrer)
	if !ok {
		if err := to.Deliver(ctx, []outbox.Notice{begin}); err != nil {
			return err
		}
		return to.Deliver(ctx, []outbox.Notice{end})
	}
	ref, err := referrer.DeliverRef(ctx, []outbox.Notice{begin})
	if err != nil {
		return err
	}
	end.Ref = ref
	_, err = referrer.DeliverRef(ctx, []outbox.Notice{end})
	return err
}
