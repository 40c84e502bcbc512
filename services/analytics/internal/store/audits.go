package store

import (
	_ "embed"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/insert/audit_records.sql
var insertAuditsSQL string

// audits is a block of audit_records.
type audits struct {
	id, object, note *text
	time             *moments
	by, role, action *words
	cols             []clickhouse.Column
}

func newAudits() *audits {
	a := &audits{id: new(text), object: new(text), note: new(text), time: new(moments), by: newWords(), role: newWords(), action: newWords()}
	a.cols = []clickhouse.Column{
		{Name: "id", Data: a.id}, {Name: "time", Data: a.time}, {Name: "by", Data: a.by}, {Name: "role", Data: a.role},
		{Name: "action", Data: a.action}, {Name: "object", Data: a.object}, {Name: "note", Data: a.note},
	}
	return a
}

func (a *audits) statement() string            { return insertAuditsSQL }
func (a *audits) columns() []clickhouse.Column { return a.cols }

// append adds the entry of rec, or nothing and a *Fault. A record without a value only
// ends the compacted history of its key and is no row.
func (a *audits) append(rec *kgo.Record) error {
	if len(rec.Value) == 0 {
		return nil
	}
	var e schemas.Audit
	if err := decode(rec.Value, &e); err != nil {
		return err
	}
	switch {
	case e.ID == "":
		return faultf(MissingField, "%q", "id")
	case e.Time.IsZero(): // part of the key: two entries without one would be one
		return faultf(MissingField, "%q", "time")
	case e.Action == "":
		return faultf(MissingField, "%q", "action")
	}
	if err := inRange("time", e.Time); err != nil {
		return err
	}
	a.id.Append([]byte(e.ID))
	a.time.AppendTime(e.Time)
	a.by.Append([]byte(e.By))
	a.role.Append([]byte(e.Role))
	a.action.Append([]byte(e.Action))
	a.object.Append([]byte(e.Object))
	a.note.Append([]byte(e.Note))
	return nil
}
