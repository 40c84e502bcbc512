package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// formatVersion is that of the values and keys on disk. A store of another
// version is emptied and rebuilt from the topic.
const formatVersion = 3

// formatCopied is that of a store that has, or had, a copy. A program from before there
// were copies would change a state without saying so, hence it may not use such a store.
const formatCopied = 4

// errCut says that a value ends too early or goes on too long.
var errCut = errors.New("value has the wrong length")

// appendState appends s, without its hash, which is the key.
func appendState(dst []byte, s schemas.Suppression) []byte {
	dst = append(dst, formatVersion)
	dst = appendText(dst, s.Address)
	dst = appendStamp(dst, s.UpdatedAt)
	dst = binary.AppendUvarint(dst, uint64(len(s.Entries)))
	for i := range s.Entries {
		dst = appendEntry(dst, &s.Entries[i])
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.SoftBounces)))
	for i := range s.SoftBounces {
		dst = appendSoft(dst, &s.SoftBounces[i])
	}
	if !s.ErasedAt.IsZero() { // last, so that all others are as before there was one
		dst = appendStamp(dst, s.ErasedAt)
	}
	return dst
}

// appendEntry starts with one bit for each stamp that follows.
func appendEntry(dst []byte, e *schemas.SuppressionEntry) []byte {
	stamps := [...]time.Time{e.AddedAt, e.RemovedAt, e.ExpiresAt, e.Since}
	var flags byte
	for i, t := range stamps {
		if !t.IsZero() {
			flags |= 1 << i
		}
	}
	dst = append(dst, flags)
	for _, t := range stamps {
		if !t.IsZero() {
			dst = appendStamp(dst, t)
		}
	}
	for _, text := range [...]string{
		e.Scope, string(e.Reason), e.Rule, e.Evidence, e.Provider, e.Source, e.Note, e.RemovedBy, e.RemovedNote,
	} {
		dst = appendText(dst, text)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Past)))
	for i := range e.Past {
		dst = appendStep(dst, &e.Past[i])
	}
	return dst
}

func appendSoft(dst []byte, b *schemas.SoftBounce) []byte {
	dst = appendStamp(dst, b.At)
	for _, text := range [...]string{string(b.Reason), b.Message, b.Evidence, b.Provider, b.Source} {
		dst = appendText(dst, text)
	}
	return dst
}

func appendStep(dst []byte, s *schemas.SuppressionStep) []byte {
	var flags byte
	if s.Lift {
		flags |= stepLift
	}
	dst = appendStamp(append(dst, flags), s.At)
	for _, text := range [...]string{s.Evidence, s.Provider, s.Source, s.Note} {
		dst = appendText(dst, text)
	}
	return dst
}

// stepLift is the bit of a step's first byte that says that it is a lift.
const stepLift = 1

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendStamp(dst []byte, t time.Time) []byte {
	return binary.AppendVarint(dst, t.UnixMilli())
}

// decodeState reads what appendState wrote. Its strings share one copy of b.
func decodeState(k Key, b []byte) (schemas.Suppression, error) {
	d := decoder{rest: string(b)}
	if v := d.byte(); v != formatVersion {
		return schemas.Suppression{}, fmt.Errorf("decode state: version %d, want %d", v, formatVersion)
	}
	s := schemas.Suppression{Hash: k.String(), Address: d.text(), UpdatedAt: d.stamp()}
	n := d.uvarint()
	if n > uint64(len(d.rest)) { // each entry takes more than a byte
		return schemas.Suppression{}, fmt.Errorf("decode state: %w", errCut)
	}
	s.Entries = make([]schemas.SuppressionEntry, n)
	for i := range s.Entries {
		d.entry(&s.Entries[i])
	}
	d.soft(&s)
	if d.rest != "" {
		s.ErasedAt = d.stamp()
	}
	if d.cut || d.rest != "" {
		return schemas.Suppression{}, fmt.Errorf("decode state: %w", errCut)
	}
	return s, nil
}

// ofPattern says that a value is the state of what isPattern says, without decoding it.
func ofPattern(value []byte) bool {
	if len(value) < 3 || value[1] < 0x80 && value[2] != '*' && value[2] != schemas.MailboxProviderPrefix[0] {
		return false // as nearly all: the first byte of the address says it
	}
	d := decoder{rest: string(value[:min(len(value), patternHeadBytes)])}
	version := d.byte()
	d.uvarint()
	return version == formatVersion && !d.cut && isPattern(schemas.Suppression{Address: d.rest})
}

// patternHeadBytes is enough of a value to see that: version, length, and the beginning
// of the address.
const patternHeadBytes = 1 + binary.MaxVarintLen64 + len(schemas.MailboxProviderPrefix)

// decoder reads from the front of rest; cut is set, and stays, when it ran out.
type decoder struct {
	rest string
	cut  bool
}

func (d *decoder) entry(e *schemas.SuppressionEntry) {
	flags := d.byte()
	for i, t := range [...]*time.Time{&e.AddedAt, &e.RemovedAt, &e.ExpiresAt, &e.Since} {
		if flags&(1<<i) != 0 {
			*t = d.stamp()
		}
	}
	e.Scope, e.Reason, e.Rule = d.text(), schemas.SuppressionReason(d.text()), d.text()
	e.Evidence, e.Provider, e.Source, e.Note = d.text(), d.text(), d.text(), d.text()
	e.RemovedBy, e.RemovedNote = d.text(), d.text()
	n := d.uvarint()
	if n == 0 {
		return
	}
	if n > uint64(len(d.rest)) { // each step takes more than a byte
		d.cut = true
		return
	}
	e.Past = make([]schemas.SuppressionStep, n)
	for i := range e.Past {
		d.step(&e.Past[i])
	}
}

func (d *decoder) soft(s *schemas.Suppression) {
	n := d.uvarint()
	if n == 0 {
		return
	}
	if n > uint64(len(d.rest)) { // each takes more than a byte
		d.cut = true
		return
	}
	s.SoftBounces = make([]schemas.SoftBounce, n)
	for i := range s.SoftBounces {
		b := &s.SoftBounces[i]
		b.At, b.Reason, b.Message = d.stamp(), schemas.Reason(d.text()), d.text()
		b.Evidence, b.Provider, b.Source = d.text(), d.text(), d.text()
	}
}

func (d *decoder) step(s *schemas.SuppressionStep) {
	flags := d.byte()
	s.Lift, s.At = flags&stepLift != 0, d.stamp()
	s.Evidence, s.Provider, s.Source, s.Note = d.text(), d.text(), d.text(), d.text()
}

func (d *decoder) byte() byte {
	if d.rest == "" {
		d.cut = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b := d.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	d.cut = true
	return 0
}

func (d *decoder) stamp() time.Time {
	u := d.uvarint()
	ms := int64(u >> 1)
	if u&1 != 0 {
		ms = ^ms
	}
	if d.cut {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.cut, d.rest = true, ""
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}
