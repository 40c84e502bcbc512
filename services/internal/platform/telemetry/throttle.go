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

	// lineBurstMax bounds the lines of one kind in a LinePeriod of any logger, as a
	// net below Throttled: many more than a start writes about topics and tables.
	lineBurstMax = 200

	// lineKindsMax bounds the kinds a throttle distinguishes, about 200 bytes
	// each. What is beyond it shares one kind.
	lineKindsMax = 1_024
)

// Throttled returns a logger for lines whose number the outside decides: one per
// request, record, fault of a broker or attempt. Of one kind it writes a line a
// LinePeriod; the next one carries how many were held back as lines_held.
// Lines are of one kind when their level, their message and the fields called by
// are the same, so the values of those must be few. Time is that of log's clock.
func Throttled(log *zap.Logger, by ...Key) *zap.Logger { return throttle(log, 1, by) }

// Reports returns a throttled logger for the lines of a library: all are of one
// kind, with the given message; what the library said is their detail.
func Reports(log *zap.Logger, msg string) *zap.Logger {
	return Throttled(log).WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return reportCore{core, msg}
	}))
}

// reportCore is a zap core that names every line alike.
type reportCore struct {
	zapcore.Core
	msg string
}

// With returns a child with fields.
func (c reportCore) With(fields []zapcore.Field) zapcore.Core {
	return reportCore{c.Core.With(fields), c.msg}
}

// Check adds c where the core below would write.
func (c reportCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return ce
	}
	return ce.AddCore(e, c)
}

// Write hands the line on under its common name.
func (c reportCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	fields = append(fields[:len(fields):len(fields)], Detail(e.Message))
	e.Message = c.msg
	return c.Core.Write(e, fields)
}

// capped bounds what no one thought of: lineBurstMax lines of a kind a period.
func capped(log *zap.Logger) *zap.Logger { return throttle(log, lineBurstMax, nil) }

func throttle(log *zap.Logger, burst int, by []Key) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return &throttledCore{Core: core, by: by, seen: &lineKinds{burst: burst, last: map[string]*lineKind{}}}
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
	burst int // lines of a kind in a period
	mu    sync.Mutex
	last  map[string]*lineKind // guarded by mu
}

type lineKind struct {
	at      time.Time // of the first line of the period
	written int       // lines in it
	held    int64     // lines not written since
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
		k.last[kind] = &lineKind{at: now, written: 1}
		return 0, true
	}
	switch {
	case now.Sub(l.at) >= LinePeriod:
		held, *l = l.held, lineKind{at: now, written: 1}
	case l.written < k.burst:
		l.written++
	default:
		l.held++
		return 0, false
	}
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
