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
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// waitMax is how long a person waits for Kafka.
const waitMax = 3 * time.Second

// textBytesMax bounds each text of an entry: a note of the console has as many.
const textBytesMax = 1000

// The roles of those who did not sign in to the console.
const (
	RoleCommand = "command" // a command of mailstream on some host
	RoleAPI     = "api"     // a caller of the API of a service, by a bearer token
)

// Entry is one look-up of a person or one change.
type Entry struct {
	By     string // who, as far as is known
	Role   string // of the console, RoleCommand or RoleAPI
	Action string // such as person.view
	Object string // a recipient hash, an incident, a silence, an operation
	Note   string
}

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

// New returns a trail that writes to the audit topic with that prefix.
func New(prefix string, to Publisher, log *zap.Logger) *Trail {
	return &Trail{schemas.AuditTopic(prefix), to, telemetry.Throttled(log)}
}

// ErrAway says that an entry was not written, so nothing may be done.
var ErrAway = errors.New("kafka does not take the entry of the audit")

// Note keeps an entry for good before it returns. Addresses in its texts are masked.
func (t *Trail) Note(ctx context.Context, e Entry) error {
	record := schemas.Audit{
		ID: newID(), Time: time.Now().UTC().Truncate(time.Millisecond), By: fit(e.By), Role: e.Role,
		Action: e.Action, Object: fit(e.Object), Note: fit(e.Note),
	}
	text, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode audit entry: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	rec := &kgo.Record{
		Topic: t.topic, Key: []byte(record.ID), Value: text,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)}},
	}
	if err := t.to.Publish(ctx, rec); err != nil {
		t.log.Error("audit entry was not written", telemetry.Name(e.Action), telemetry.Err(err))
		return ErrAway
	}
	return nil
}

// fit masks the addresses in text and bounds it.
func fit(text string) string {
	text = address.Redact(text)
	return strings.ToValidUTF8(text[:min(len(text), textBytesMax)], "")
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, as documented
	return hex.EncodeToString(b[:])
}
