// Package audit writes down who looked at whom and who changed what, to the audit topic,
// before it happens. An entry that Kafka has not acknowledged is an error: what cannot be
// written down is not done. It never holds an address.
package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/page"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// waitMax is how long a person waits for Kafka.
const waitMax = 3 * time.Second

// Publisher writes records and waits until they are acknowledged: produce.Producer.
type Publisher interface {
	// Publish returns nil once all records are acknowledged.
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// Trail writes entries.
type Trail struct {
	topic string
	to    Publisher
	log   *zap.Logger
}

// New returns a trail that writes to topic.
func New(topic string, to Publisher, log *zap.Logger) *Trail {
	return &Trail{topic, to, telemetry.Throttled(log)}
}

var errAway = errors.New("kafka does not take the entry")

// Note keeps an entry for good before it returns.
func (t *Trail) Note(ctx context.Context, e page.Entry) error {
	record := schemas.Audit{
		ID: newID(), Time: time.Now().UTC().Truncate(time.Millisecond), By: page.Redact(e.By.Name), Role: e.By.Role.String(),
		Action: e.Action, Object: page.Redact(e.Object), Note: page.Redact(e.Note),
	}
	text, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode audit entry: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	if err := t.to.Publish(ctx, &kgo.Record{Topic: t.topic, Key: []byte(record.ID), Value: text}); err != nil {
		t.log.Error("audit entry was not written", telemetry.Name(e.Action), telemetry.Err(err))
		return errAway
	}
	return nil
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, as documented
	return hex.EncodeToString(b[:])
}
