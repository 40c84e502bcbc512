package controls

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const (
	// lengthMax is the longest silence. One that never ends hides the next incident,
	// too, which has another cause.
	lengthMax = 30 * 24 * time.Hour
	// aheadMax is how far ahead a silence may begin.
	aheadMax = 30 * 24 * time.Hour
	// byMax and textMax bound names, comments and notes, in bytes.
	byMax   = 100
	textMax = 1_000
)

// NewSilence returns the silence that is asked for, with an id and its times, and
// reports every fault to p. Without a beginning, or with one that has passed, it
// begins now.
func NewSilence(asked schemas.AlertSilence, now time.Time, p *config.Problems) schemas.AlertSilence {
	s := schemas.AlertSilence{
		ID: newID("sil-"), Matchers: asked.Matchers, Until: asked.Until.UTC(), By: strings.TrimSpace(asked.By), Comment: strings.TrimSpace(asked.Comment),
		Since: now.UTC(), CreatedAt: now.UTC(),
	}
	if asked.Since.After(now) {
		s.Since = asked.Since.UTC()
	}
	_ = Compile(s.Matchers, p) // for its faults
	p.Check(s.Since.Sub(now) <= aheadMax, "since", "is more than %s ahead", config.FormatDuration(aheadMax))
	p.Check(!asked.Until.IsZero(), "until", "is missing: a silence must end, at most %s after it begins", config.FormatDuration(lengthMax))
	p.Check(s.Until.After(s.Since), "until", "%s is not after its beginning, %s", stamp(s.Until), stamp(s.Since))
	p.Check(s.Until.Sub(s.Since) <= lengthMax, "until", "%s is more than %s after its beginning, %s", stamp(s.Until), config.FormatDuration(lengthMax), stamp(s.Since))
	checkText(s.By, "by", byMax, p)
	s.Comment = checkNote(s.Comment, "comment", p)
	return s
}

// NewAck returns the acknowledgement that is asked for, with its time, and reports
// every fault to p.
func NewAck(asked schemas.AlertAck, now time.Time, p *config.Problems) schemas.AlertAck {
	a := schemas.AlertAck{Incident: asked.Incident, By: strings.TrimSpace(asked.By), At: now.UTC(), Note: strings.TrimSpace(asked.Note)}
	checkText(a.By, "by", byMax, p)
	if a.Note != "" {
		a.Note = checkNote(a.Note, "note", p)
	}
	return a
}

// NewNote returns the note that is asked for, with an id and its time, and reports
// every fault to p.
func NewNote(asked schemas.AlertNote, now time.Time, p *config.Problems) schemas.AlertNote {
	n := schemas.AlertNote{ID: newID("note-"), Incident: asked.Incident, By: strings.TrimSpace(asked.By), At: now.UTC(), Note: strings.TrimSpace(asked.Note)}
	checkText(n.By, "by", byMax, p)
	n.Note = checkNote(n.Note, "note", p)
	return n
}

// Remove returns s as it is when by ends it at now.
func Remove(s schemas.AlertSilence, by string, now time.Time, p *config.Problems) schemas.AlertSilence {
	if by = strings.TrimSpace(by); by != "" {
		checkText(by, "by", byMax, p)
	}
	s.RemovedAt, s.RemovedBy, s.Until = now.UTC(), by, now.UTC()
	return s
}

// checkText wants text that people can read: names on one line, notes on several.
func checkText(s, field string, bytesMax int, p *config.Problems) {
	p.Check(s != "", field, "is missing")
	p.Check(len(s) <= bytesMax, field, "%d bytes, at most %d", len(s), bytesMax)
	readable := utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && (bytesMax == byMax || r != '\n' && r != '\t') })
	p.Check(readable, field, "must be UTF-8 without control characters")
}

// checkNote is checkText for what people write, and returns it with addresses masked: it is
// kept where nobody who has to be forgotten is looked for.
func checkNote(s, field string, p *config.Problems) string {
	checkText(s, field, textMax, p)
	return address.Redact(s)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// newID returns prefix and ten random hex characters: short enough to be typed.
func newID(prefix string) string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails, as documented
	return prefix + hex.EncodeToString(b[:])
}
