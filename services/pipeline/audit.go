package pipeline

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// NotePeople writes to the audit, before a command does it, that e is done of each of
// the people with those addresses. What is not an address is left out: the command refuses it.
func NotePeople(ctx context.Context, cfg Config, e audit.Entry, addresses ...string) (err error) {
	hash, err := Hasher(cfg)
	if err != nil {
		return err
	}
	log := zap.NewNop() // the error says it
	producer, err := produce.New(cfg.Kafka, produce.Config{Name: "audit"}, log, telemetry.NewRegistry())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, producer.Close(ctx))
	}()
	trail := audit.New(cfg.Kafka.TopicPrefix, producer, log)
	for _, typed := range addresses {
		canonical, err := address.One(typed)
		if err != nil {
			continue
		}
		e.Object = hash(canonical)
		if err := trail.Note(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
