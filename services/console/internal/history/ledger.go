package history

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

const (
	// ledgerReach is how far back the ledger goes: the longest range of a page and the
	// period before it.
	ledgerReach = 181 * 24 * time.Hour
	// ledgerCellsMax bounds the counts that are kept, at some 100 bytes each.
	ledgerCellsMax = 300_000
	// ledgerStep is how many hours one query reads at most, and ledgerRowsMax how many
	// counts: where they have more, it reads fewer.
	ledgerStep    = 31 * 24
	ledgerRowsMax = 100_000
	// ledgerDoubt is how long an hour that has rows and no counts is believed: another
	// replica may have the seal a moment before the counts.
	ledgerDoubt = 10 * time.Second
	// ledgerFillMax bounds the hours of a question that still fill: during an import they
	// are many, and one query over all of them is cheaper.
	ledgerFillMax = 4
)

// errBeyond says that a question is none for the ledger.
var errBeyond = errors.New("beyond the ledger")

// hourState is what ClickHouse knows of an hour without counting it.
type hourState struct {
	Hour  time.Time `ch:"hour"`
	Seal  uint64    `ch:"seal"` // of its final counts, 0 of an hour without
	Rows  uint64    `ch:"rows"`
	Quiet bool      `ch:"quiet"` // nothing came for it for a minute
}

// cell is a count of one hour.
type cell struct {
	Hour            time.Time `ch:"hour"`
	Source          string    `ch:"source"`
	Type            string    `ch:"type"`
	MailboxProvider string    `ch:"mailbox_provider"`
	Refused         bool      `ch:"refused"` // see Count
	Events          uint64    `ch:"events"`
}

// page is the counts of one hour, which hold while the hour has this state.
type page struct {
	seal, rows uint64
	cells      []cell
	doubt      time.Time // when it is read again, zero for never
}

func (p page) holds(h hourState, now time.Time) bool {
	return (p.doubt.IsZero() || now.Before(p.doubt)) && (h.Seal != 0 && p.seal == h.Seal || h.Seal == 0 && h.Quiet && p.seal == 0 && p.rows == h.Rows)
}

// ledger keeps counts by hour, source, type, mailbox provider and whether they are blocks:
// those of an hour are read once for as long as no row comes for it, so that pages of all
// ranges together ask for the hours that fill and for nothing else. Memory only: another
// process reads its own.
type ledger struct {
	reader *Reader
	flight singleflight.Group

	mu    sync.Mutex
	pages map[int64]page    // by the Unix time of the hour; guarded by mu
	cells int               // of all pages; guarded by mu
	words map[string]string // each text once; guarded by mu
}

func newLedger(r *Reader) *ledger {
	return &ledger{reader: r, pages: map[int64]page{}, words: map[string]string{}}
}

// each gives the counts of a span to take, hour by hour, or returns errBeyond. Hours are
// whole: that of From, and that of To where it begins before To.
func (l *ledger) each(ctx context.Context, s Span, take func(cell)) error {
	from := s.From.Truncate(time.Hour)
	if s.From.Before(l.reader.answers.now().Add(-ledgerReach)) {
		return errBeyond
	}
	states, err := l.states(ctx)
	if err != nil {
		return err
	}
	var fill, quiet, sealed []hourState
	for _, h := range states {
		switch {
		case h.Hour.Before(from) || !h.Hour.Before(s.To):
		case h.Seal != 0:
			sealed = append(sealed, h)
		case h.Quiet:
			quiet = append(quiet, h)
		default:
			fill = append(fill, h)
		}
	}
	if len(fill) > ledgerFillMax {
		return errBeyond
	}
	rest, err := l.rest(ctx, append(sealed, quiet...))
	if err != nil {
		return err
	}
	for _, h := range fill {
		cells, err := shared(ctx, l.reader.answers, fmt.Sprint("hour ", h.Hour.Unix()), func(ctx context.Context) ([]cell, error) {
			return l.open(ctx, []hourState{h})
		})
		if err != nil {
			return err
		}
		rest = append(rest, cells)
	}
	for _, cells := range rest {
		for _, c := range cells {
			take(c)
		}
	}
	return nil
}

func (l *ledger) states(ctx context.Context) ([]hourState, error) {
	return shared(ctx, l.reader.answers, "hours", func(ctx context.Context) (rows []hourState, err error) {
		err = l.reader.ask(ctx, "hours", &rows, moment("from", l.reader.answers.now().Add(-ledgerReach)))
		return rows, err
	})
}

// rest returns the counts of hours at rest, and reads those that are not known.
func (l *ledger) rest(ctx context.Context, hours []hourState) ([][]cell, error) {
	for before := len(hours) + 1; ; {
		all, missing := l.known(hours)
		if len(missing) == 0 {
			return all, nil
		}
		if len(missing) >= before {
			return nil, errBeyond // they do not fit all at once
		}
		before = len(missing)
		// Everybody who needs the same hours waits for one query.
		first := missing[:min(len(missing), ledgerStep)]
		key := fmt.Sprint(first[0], first[len(first)-1], len(first))
		done := l.flight.DoChan(key, func() (any, error) { return nil, l.read(context.WithoutCancel(ctx), first) })
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for counts by hour: %w", ctx.Err())
		case got := <-done:
			if got.Err != nil {
				return nil, got.Err
			}
		}
	}
}

// known returns the counts that are kept, and of which hours they lack.
func (l *ledger) known(hours []hourState) (all [][]cell, missing []hourState) {
	now := l.reader.answers.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range hours {
		if p, ok := l.pages[h.Hour.Unix()]; ok && p.holds(h, now) {
			all = append(all, p.cells)
		} else {
			missing = append(missing, h)
		}
	}
	return all, missing
}

// read reads the counts of hours and keeps them, of the first of them where all are too
// many for one answer.
func (l *ledger) read(ctx context.Context, hours []hourState) error {
	err := l.readAll(ctx, hours)
	if errors.Is(err, errBeyond) && len(hours) > 1 {
		return l.read(ctx, hours[:len(hours)/2])
	}
	return err
}

func (l *ledger) readAll(ctx context.Context, hours []hourState) error {
	var seals []string
	var quiet []hourState
	for _, h := range hours {
		if h.Seal != 0 {
			seals = append(seals, strconv.FormatUint(h.Seal, 10))
		} else {
			quiet = append(quiet, h)
		}
	}
	var cells []cell
	if len(seals) > 0 {
		if err := l.count(ctx, "hours_sealed", &cells, hours, clickhouse.Arg("seals", "["+strings.Join(seals, ",")+"]")); err != nil {
			return err
		}
	}
	if len(quiet) > 0 {
		more, err := l.open(ctx, quiet)
		if err != nil {
			return err
		}
		cells = append(cells, more...)
	}
	return l.keep(hours, cells)
}

// open counts hours from their events.
func (l *ledger) open(ctx context.Context, hours []hourState) (cells []cell, err error) {
	starts := make([]time.Time, len(hours))
	for i, h := range hours {
		starts[i] = h.Hour
	}
	err = l.count(ctx, "hours_open", &cells, hours, clickhouse.Arg("hours", hourList(starts)))
	return cells, err
}

// hourList is a parameter of type Array(DateTime('UTC')).
func hourList(hours []time.Time) string {
	words := make([]string, len(hours))
	for i, h := range hours {
		words[i] = h.UTC().Format("'2006-01-02 15:04:05'")
	}
	return "[" + strings.Join(words, ",") + "]"
}

// count asks for the counts of some hours.
func (l *ledger) count(ctx context.Context, name string, into *[]cell, hours []hourState, which any) error {
	first, last := hours[0].Hour, hours[0].Hour
	for _, h := range hours {
		if h.Hour.Before(first) {
			first = h.Hour
		}
		if h.Hour.After(last) {
			last = h.Hour
		}
	}
	err := l.reader.ask(ctx, name, into, moment("from", first), moment("to", last), limit(ledgerRowsMax), l.reader.literal(), which)
	if err == nil && len(*into) >= ledgerRowsMax {
		return errBeyond
	}
	return err
}

// keep puts counts into pages, in the place of all that is kept where that is too much.
func (l *ledger) keep(hours []hourState, cells []cell) error {
	if len(cells) > ledgerCellsMax {
		return errBeyond
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cells+len(cells) > ledgerCellsMax {
		clear(l.pages)
		clear(l.words)
		l.cells = 0
	}
	fresh := make(map[int64][]cell, len(hours))
	for _, c := range cells {
		for _, text := range []*string{&c.Source, &c.Type, &c.MailboxProvider} {
			if known, ok := l.words[*text]; ok {
				*text = known
			} else {
				l.words[*text] = *text
			}
		}
		fresh[c.Hour.Unix()] = append(fresh[c.Hour.Unix()], c)
	}
	for _, h := range hours {
		at := h.Hour.Unix()
		one := page{seal: h.Seal, rows: h.Rows, cells: fresh[at]}
		if len(one.cells) == 0 {
			one.doubt = l.reader.answers.now().Add(ledgerDoubt)
		}
		l.cells += len(one.cells) - len(l.pages[at].cells)
		l.pages[at] = one
	}
	return nil
}
