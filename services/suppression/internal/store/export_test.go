package store

import (
	"context"
	"errors"
)

// Copy makes a copy of the states; meanwhile is called between its beginning and its end,
// and the copy is given up where it says so.
func (p *Pebble) Copy(ctx context.Context, meanwhile func() (finish bool)) error {
	next := p.beginCopy()
	if !meanwhile() {
		return errors.Join(p.writeCopy(ctx, next.at, p.copied.path(next.generation), next.known), p.endCopy(next))
	}
	_, err := p.finishCopy(ctx, next)
	return errors.Join(err, p.endCopy(next))
}

// CopyLen returns how many states the copy that is in use has, -1 where there is none.
func (p *Pebble) CopyLen() int64 {
	p.copied.reading.RLock()
	defer p.copied.reading.RUnlock()
	if p.copied.table == nil {
		return -1
	}
	return p.copied.table.Len()
}

// Changed returns about how many states changed since the copy.
func (p *Pebble) Changed() int64 { return p.copied.changed.Load() }

// CopyKeysMin is copyKeysMin.
const CopyKeysMin = copyKeysMin

// RenewCopy is what Maintain does when a copy is due.
func (p *Pebble) RenewCopy(ctx context.Context) error { return p.renewCopy(ctx) }
