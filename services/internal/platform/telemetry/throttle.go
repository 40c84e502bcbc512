package telemetry

import (
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// LinePeriod is how long lines of one kind are held back after one was written:
	// a fault is seen at once, and one that lasts a day costs 8,640 lines.
	LinePeriod = 10 * time.Second

	// lineKindsMax bounds the kinds a throttle tells apart, about 200 bytes each.
	// What is beyond it shares one kind.
	lineKindsMax = 1_024
)

// Throttled returns a logger for lines whose number the outside decides: one per
// request, record, fault of a broker or attempt. Of one kind it writes a line a
// LinePeriod; the next one carries how many were held back as lines_held.
// Lines are of one kind when their level, their message and the fields called by
// are the same, so the values of those must be few. Time is that of log's clock.
func Throttled(log *zap.Logger, by ...Key) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return &throttledCore{Core: core, by: by, seen: &lineKinds{last: map[string]*lineKind{}}}
	}))
}

// throttledCore is a zap core that holds lines back.
type throttledCore struct {
	zapcore.Core
	by   []Key
	with string     // the values of by among the fields given to With
	seen *lineKinds // shared by all children of one throttle
}

// With returns a child that counts its lines together with those of c.
func (c *throttledCore) With(fields []zapcore.Field) zapcore.Core {
	return &throttledCore{Core: c.Core.With(fields), by: c.by, with: c.with + c.valuesOf(fields), seen: c.seen}
}

// Check adds c where the core below would write. That one's own decisions for
// single lines, as of a sampler, do not apply: throttle first, then sample.
func (c *throttledCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return ce
	}
	return ce.AddCore(e, c)
}

// Write writes the line or counts it. Whoever ends the process says why.
func (c *throttledCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.Level > zapcore.ErrorLevel {
		return c.Core.Write(e, fields)
	}
	held, due := c.seen.take(e.Level.String()+" "+e.Message+c.with+c.valuesOf(fields), e.Time)
	if !due {
		return nil
	}
	if held > 0 {
		fields = append(fields[:len(fields):len(fields)], Held(held))
	}
	return c.Core.Write(e, fields)
}

func (c *throttledCore) valuesOf(fields []zapcore.Field) string {
	var b strings.Builder
	for _, key := range c.by {
		for i := range fields {
			if fields[i].Key == string(key) {
				b.WriteString("\x00" + string(key) + "=" + fields[i].String)
			}
		}
	}
	return b.String()
}

// lineKinds knows when a line of each kind was last written.
type lineKinds struct {
	mu   sync.Mutex
	last map[string]*lineKind // guarded by mu
}

type lineKind struct {
	at   time.Time // of the last line
	held int64     // lines not written since
}

// take says whether a line of the kind is due at now, and how many were held.
func (k *lineKinds) take(kind string, now time.Time) (held int64, due bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.last[kind]
	if l == nil && len(k.last) >= lineKindsMax {
		k.forget(now)
		if len(k.last) >= lineKindsMax {
			kind = "" // no message is empty
			l = k.last[kind]
		}
	}
	if l == nil {
		k.last[kind] = &lineKind{at: now}
		return 0, true
	}
	if now.Sub(l.at) < LinePeriod {
		l.held++
		return 0, false
	}
	held, l.held, l.at = l.held, 0, now
	return held, true
}

// forget drops the kinds that hold nothing back any more. The caller holds mu.
func (k *lineKinds) forget(now time.Time) {
	for kind, l := range k.last {
		if l.held == 0 && now.Sub(l.at) >= LinePeriod {
			delete(k.last, kind)
		}
	}
}
