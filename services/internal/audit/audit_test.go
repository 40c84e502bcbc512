package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
)

type broker struct {
	recs []*kgo.Record
	err  error
}

func (b *broker) Publish(_ context.Context, recs ...*kgo.Record) error {
	b.recs = append(b.recs, recs...)
	return b.err
}

func TestNote_WritesNoAddressAndNoLongText(t *testing.T) {
	t.Parallel()
	var b broker
	e := audit.Entry{By: "ana@b.example", Role: audit.RoleAPI, Action: "suppression.lift", Object: "bob@b.example", Note: "for bob@b.example " + strings.Repeat("é", 1000)}
	if err := audit.New("email.", &b, zap.NewNop()).Note(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	rec := b.recs[0]
	var got schemas.Audit
	if err := json.Unmarshal(rec.Value, &got); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(rec.Value), "bob@") || strings.Contains(string(rec.Value), "ana@") || len(got.Note) > 1000 || !utf8.ValidString(got.Note) {
		t.Errorf("wrote %.200s", rec.Value)
	}
	if rec.Topic != "email.audit" || string(rec.Key) != got.ID || got.Action != e.Action || got.Role != "api" || got.Time.IsZero() || got.Time.Nanosecond()%1e6 != 0 {
		t.Errorf("entry %+v", got)
	}
}

func TestNote_FailsWhereKafkaDoesNotTakeIt(t *testing.T) {
	t.Parallel()
	b := broker{err: errors.New("away")}
	if err := audit.New("email.", &b, zap.NewNop()).Note(t.Context(), audit.Entry{Action: "x"}); !errors.Is(err, audit.ErrAway) {
		t.Errorf("got %v", err)
	}
}
