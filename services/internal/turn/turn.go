// Package turn keeps works apart that write the same rows of ClickHouse again, in
// whichever processes they run: what one has read, the other must not have replaced when
// it is written. Each notes its turn first and looks for the others' afterwards, so that
// of two that begin at once at least one sees the other. A turn ends by itself, since
// whoever has it may be killed.
package turn

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

//go:embed sql/take.sql
var takeSQL string

//go:embed sql/others.sql
var othersSQL string

// Work is what has a turn.
type Work string

// Correcting excludes the others, which may run beside each other. Two of the same may run
// at once.
const (
	Judging    Work = "judging"    // of opens and clicks after the fact, which gives way
	Gathering  Work = "gathering"  // of messages by day, which gives way
	Correcting Work = "correcting" // of stored events by a replay, which waits
)

// excludes returns what must not run beside w.
func (w Work) excludes() []string {
	if w == Correcting {
		return []string{string(Judging), string(Gathering)}
	}
	return []string{string(Correcting)}
}

// Turn is that of one run of a work. Make it with New.
type Turn struct {
	client *clickhouse.Client
	work   Work
	holder string
	noted  bool
}

// New returns the turn of a run of work, which does not have it yet.
func New(client *clickhouse.Client, work Work) *Turn {
	return &Turn{client: client, work: work, holder: uuid.NewString()}
}

// Take notes that the run may write for lasts from now, longer if it was noted before,
// and reports whether no work does that it excludes. If one does, the caller ends its turn, or waits.
func (t *Turn) Take(ctx context.Context, lasts time.Duration) (alone bool, err error) {
	t.noted = true
	if err := t.note(ctx, lasts); err != nil {
		return false, err
	}
	var others []struct {
		Work string `ch:"work"`
	}
	if err := t.client.Select(ctx, &others, othersSQL, clickhouse.Arg("works", clickhouse.Words(t.work.excludes()))); err != nil {
		return false, fmt.Errorf("look for works beside %s: %w", t.work, err)
	}
	return len(others) == 0, nil
}

// pollEvery spaces the looks of Await.
const pollEvery = 200 * time.Millisecond

// Await takes the turn for lasts and waits until no other work has its own.
func (t *Turn) Await(ctx context.Context, lasts time.Duration) error {
	for {
		alone, err := t.Take(ctx, lasts)
		if err != nil || alone {
			return err
		}
		if err := lifecycle.Sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// End gives the turn up if it was taken, also when ctx has ended.
func (t *Turn) End(ctx context.Context) error {
	if !t.noted {
		return nil
	}
	return t.note(context.WithoutCancel(ctx), 0)
}

func (t *Turn) note(ctx context.Context, lasts time.Duration) error {
	err := t.client.Exec(ctx, takeSQL, clickhouse.Arg("work", string(t.work)), clickhouse.Arg("holder", t.holder),
		clickhouse.Arg("lasts", strconv.FormatInt(lasts.Milliseconds(), 10)))
	if err != nil {
		return fmt.Errorf("note the turn of %s: %w", t.work, err)
	}
	return nil
}
