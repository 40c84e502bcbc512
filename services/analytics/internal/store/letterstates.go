package store

import (
	_ "embed"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/insert/dead_letter_states.sql
var insertLetterStatesSQL string

// letterStates is a block of dead_letter_states: records of the topic of dead letters
// that say what became of one.
type letterStates struct {
	id, operation, note *text
	state               *words
	at                  *moments
	version             proto.ColUInt64
	cols                []clickhouse.Column
}

func newLetterStates() *letterStates {
	s := &letterStates{id: new(text), operation: new(text), note: new(text), state: newWords(), at: new(moments)}
	s.cols = []clickhouse.Column{
		{Name: "id", Data: s.id}, {Name: "state", Data: s.state}, {Name: "at", Data: s.at},
		{Name: "operation", Data: s.operation}, {Name: "note", Data: s.note}, {Name: "version", Data: &s.version},
	}
	return s
}

func (s *letterStates) statement() string            { return insertLetterStatesSQL }
func (s *letterStates) columns() []clickhouse.Column { return s.cols }

// append is not called: deadLetters, whose topic it is, adds what is a state.
func (s *letterStates) append(*kgo.Record) error { return nil }

func (s *letterStates) add(dl *schemas.DeadLetter, rec *kgo.Record) {
	s.id.Append([]byte(dl.ID))
	s.state.Append([]byte(dl.State))
	s.at.AppendTime(dl.Time)
	s.operation.Append([]byte(dl.Operation))
	s.note.Append([]byte(dl.Note))
	s.version = append(s.version, version(rec))
}
