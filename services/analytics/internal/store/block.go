package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// Inserter stores blocks durably, as one: when Insert returns nil, the server
// has all of them. Its errors carry a fate. Kept by clickhouse.Client.
type Inserter interface {
	Insert(ctx context.Context, statement string, blocks ...[]clickhouse.Column) error
}

// table is the rows of one table.
type table interface {
	append(rec *kgo.Record) error
	statement() string
	columns() []clickhouse.Column
}

// Topics returns all topics whose records have a table, for the prefix.
func Topics(prefix string) []string {
	return append(schemas.EventTopics(prefix),
		schemas.SuppressionsTopic(prefix), schemas.AlertsTopic(prefix), schemas.DeadLetterTopic(prefix), schemas.AuditTopic(prefix))
}

// Block is rows of all tables on their way to ClickHouse. It is reused: Reset
// keeps its memory. It is not safe for concurrent use.
type Block struct {
	events  *events
	acts    *forgottenActs
	byTopic map[string]table // of the topics that are no events
	tables  []table          // in the order of insertion
}

// Erased says who has to be forgotten: package erasure.
type Erased interface {
	// Of returns the erasure of the person with that hash.
	Of(hash string) (schemas.Erasure, bool)
	// Covers reports whether an event of that person, which happened and was received
	// at the given Unix milliseconds, has to be forgotten.
	Covers(hash []byte, at, received int64) bool
	// HasLetter reports whether the dead letter of that id has to be forgotten.
	HasLetter(id string) bool
}

// NewBlock returns an empty block for the topics with the prefix. What it takes in
// of people who are erased has nothing left of them, and of events only what keep says.
func NewBlock(prefix string, erased Erased, keep Keep) *Block {
	letters := newDeadLetters(erased)
	b := &Block{events: newEvents(erased, keep), byTopic: map[string]table{
		schemas.SuppressionsTopic(prefix): newSuppressions(erased),
		schemas.AlertsTopic(prefix):       newAlerts(),
		schemas.DeadLetterTopic(prefix):   letters,
		schemas.AuditTopic(prefix):        newAudits(),
	}}
	b.acts = newForgottenActs()
	b.events.acts = b.acts
	b.tables = []table{b.events, b.acts}
	for _, t := range []string{schemas.SuppressionsTopic(prefix), schemas.AlertsTopic(prefix), schemas.DeadLetterTopic(prefix), schemas.AuditTopic(prefix)} {
		b.tables = append(b.tables, b.byTopic[t])
	}
	b.tables = append(b.tables, letters.states)
	return b
}

// Append adds the row of rec. A *Fault says that rec cannot become one; then
// nothing was added.
func (b *Block) Append(rec *kgo.Record) error {
	if t, ok := b.byTopic[rec.Topic]; ok {
		return t.append(rec)
	}
	return b.events.append(rec)
}

// Insert stores the rows of blocks, a table after the other, so that the blocks
// together make one part of a table. It may be repeated.
func Insert(ctx context.Context, into Inserter, blocks ...*Block) error {
	if len(blocks) == 0 {
		return nil
	}
	for i, t := range blocks[0].tables {
		var filled [][]clickhouse.Column
		for _, b := range blocks {
			if cols := b.tables[i].columns(); cols[0].Data.Rows() > 0 {
				filled = append(filled, cols)
			}
		}
		if len(filled) == 0 {
			continue
		}
		if err := into.Insert(ctx, t.statement(), filled...); err != nil {
			return fmt.Errorf("store rows: %w", err)
		}
	}
	return nil
}

// Reset forgets all rows.
func (b *Block) Reset() {
	for _, t := range b.tables {
		for _, col := range t.columns() {
			if r, ok := col.Data.(proto.Resettable); ok {
				r.Reset()
			}
		}
	}
}

// versionBits is how many low bits of an offset break the tie between two
// versions of one key written in the same millisecond.
const versionBits = 20

// version orders the records of one key. It is the time of the record rather
// than its offset, so that it still grows when a topic was made anew.
func version(rec *kgo.Record) uint64 {
	return uint64(rec.Timestamp.UnixMilli())<<versionBits | uint64(rec.Offset)&(1<<versionBits-1)
}

// Rows returns how many rows there are, in all tables together.
func (b *Block) Rows() int {
	n := 0
	for _, t := range b.tables {
		n += t.columns()[0].Data.Rows()
	}
	return n
}
