package history

import (
	"context"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// AuditEntry is that somebody looked at a person or changed something.
type AuditEntry struct {
	At     time.Time `ch:"at" json:"time"`
	By     string    `ch:"by" json:"by"`
	Role   string    `ch:"role" json:"role"`
	Action string    `ch:"action" json:"action"`
	Object string    `ch:"object" json:"object,omitempty"` // a recipient hash, an incident, ...; no address
	Note   string    `ch:"note" json:"note,omitempty"`
}

// AuditMax bounds the entries of a page.
const AuditMax = 200

// Audit returns the entries of an action about an object, of all with "", the latest first,
// and whether there are more than AuditMax.
func (r *Reader) Audit(ctx context.Context, s Span, action, object string) (rows []AuditEntry, cut bool, err error) {
	err = r.ask(ctx, "audit", &rows, moment("from", s.From), moment("to", s.To), clickhouse.Arg("action", action), clickhouse.Arg("object", object), limit(AuditMax+1))
	return rows[:min(len(rows), AuditMax)], len(rows) > AuditMax, err
}
