package store

import (
	_ "embed"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/insert/suppression_log.sql
var insertSuppressionsSQL string

// suppressions is a block of suppression_log.
type suppressions struct {
	erased                                 Erased
	hash, address                          *text
	version                                proto.ColUInt64
	deleted                                proto.ColUInt8
	updatedAt                              *moments
	scope, reason, provider, source        *words
	addedAt, removedAt, expiresAt, since   *moments
	evidence, note, removedBy, removedNote *text
	entries                                []*lists
	cols                                   []clickhouse.Column
}

func newSuppressions(erased Erased) *suppressions {
	s := &suppressions{
		erased: erased,
		hash:   new(text), address: new(text), updatedAt: new(moments),
		scope: newWords(), reason: newWords(), provider: newWords(), source: newWords(),
		addedAt: newMaybeMoments(), removedAt: newMaybeMoments(), expiresAt: newMaybeMoments(), since: newMaybeMoments(),
		evidence: new(text), note: new(text), removedBy: new(text), removedNote: new(text),
	}
	s.cols = []clickhouse.Column{
		{Name: "recipient_hash", Data: s.hash}, {Name: "version", Data: &s.version}, {Name: "deleted", Data: &s.deleted},
		{Name: "address", Data: s.address}, {Name: "updated_at", Data: s.updatedAt},
	}
	for _, nested := range []struct {
		name  string
		items items
	}{
		{"scope", s.scope}, {"reason", s.reason}, {"added_at", s.addedAt}, {"removed_at", s.removedAt}, {"expires_at", s.expiresAt},
		{"since", s.since}, {"evidence", s.evidence}, {"provider", s.provider}, {"source", s.source}, {"note", s.note},
		{"removed_by", s.removedBy}, {"removed_note", s.removedNote},
	} {
		list := &lists{items: nested.items}
		s.entries = append(s.entries, list)
		s.cols = append(s.cols, clickhouse.Column{Name: "entries." + nested.name, Data: list})
	}
	return s
}

func (s *suppressions) statement() string            { return insertSuppressionsSQL }
func (s *suppressions) columns() []clickhouse.Column { return s.cols }

// append adds the suppression of rec, or nothing and a *Fault. A record without
// a value deletes the address of its key.
func (s *suppressions) append(rec *kgo.Record) error {
	sup := schemas.Suppression{Hash: string(rec.Key), UpdatedAt: rec.Timestamp}
	tombstone := len(rec.Value) == 0
	if !tombstone {
		if err := decode(rec.Value, &sup); err != nil {
			return err
		}
	}
	if sup.Hash == "" {
		return faultf(MissingField, "%q", "recipient_hash")
	}
	for _, e := range sup.Entries {
		if err := inRange("entries", e.AddedAt, e.RemovedAt, e.ExpiresAt, e.Since); err != nil {
			return err
		}
	}
	if err := inRange("updated_at", sup.UpdatedAt); err != nil {
		return err
	}
	if e, ok := s.erased.Of(sup.Hash); ok && e.Covers(sup.UpdatedAt, sup.UpdatedAt) {
		forget(&sup)
	}
	s.add(rec, &sup, tombstone)
	return nil
}

func (s *suppressions) add(rec *kgo.Record, sup *schemas.Suppression, tombstone bool) {
	s.hash.Append([]byte(sup.Hash))
	s.version = append(s.version, version(rec))
	s.deleted = append(s.deleted, oneIf(tombstone))
	s.address.Append([]byte(sup.Address))
	s.updatedAt.AppendTime(sup.UpdatedAt)
	for _, e := range sup.Entries {
		s.scope.Append([]byte(e.Scope))
		s.reason.Append([]byte(e.Reason))
		s.addedAt.AppendTime(e.AddedAt)
		s.removedAt.AppendTime(e.RemovedAt)
		s.expiresAt.AppendTime(e.ExpiresAt)
		s.since.AppendTime(e.Since)
		s.evidence.Append([]byte(e.Evidence))
		s.provider.Append([]byte(e.Provider))
		s.source.Append([]byte(e.Source))
		s.note.Append([]byte(e.Note))
		s.removedBy.Append([]byte(e.RemovedBy))
		s.removedNote.Append([]byte(e.RemovedNote))
	}
	for _, list := range s.entries {
		list.close()
	}
}

// forget leaves of sup why the person must not be mailed.
func forget(sup *schemas.Suppression) {
	sup.Address = ""
	for i := range sup.Entries {
		sup.Entries[i].Note, sup.Entries[i].RemovedNote = "", ""
	}
}
