// Package fingerprint makes event ids: the same event, resent by the provider
// any number of times, alone or in another batch, gets the same id, and two
// events get two.
//
// An id depends on what the provider says and on the configured source, never on
// our clock, so that it can be recomputed at any time.
package fingerprint

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/mailstream/mailstream/services/internal/provider"
)

// Set gives the event of a normalised item its id. scratch is room to work in; it
// is returned for the next call.
func Set(it *provider.Item, scratch []byte) []byte {
	ev := &it.Event
	recipient := it.Person
	if recipient == "" {
		recipient = ev.Recipient
	}
	ev.ID, scratch = ID(&Parts{
		Source: ev.Source, Provider: ev.Provider, Type: string(ev.Type), Event: cmp.Or(it.Word, ev.ProviderEvent),
		MessageID: ev.MessageID, Recipient: recipient, Time: it.Claimed, Stamp: it.Stamp, Discriminators: it.Discriminators(),
	}, scratch)
	return scratch
}

// Parts are what one event is known by.
type Parts struct {
	Source    string // the configured account: two accounts may share message ids
	Provider  string
	Type      string // our word
	Event     string // the provider's word: two of them may be one type
	MessageID string
	Recipient string // canonical form where there is one
	// Time is when it happened by the provider's clock; zero when that could not
	// be read; then Stamp distinguishes.
	Time  time.Time
	Stamp string
	// Discriminators distinguish two events of one message and time; the provider package
	// chooses them.
	Discriminators []string
}

// idBytes is the size of an id as text.
const idBytes = 36

// timeBitsMax is the largest time an id can carry: 48 bits of milliseconds, the
// year 10889.
const timeBitsMax = 1<<48 - 1

// ID returns the id of p: a UUIDv8 (RFC 9562, section 5.8) of 48 bits of Time in
// milliseconds, zero where there is none, and 74 bits of a SHA-256 over all
// parts, each with its length before it so that no two lists of parts look alike.
// scratch is room to work in; it is returned for the next call.
func ID(p *Parts, scratch []byte) (id string, _ []byte) {
	ms := p.Time.UnixMilli()
	known := !p.Time.IsZero() && ms >= 0 && ms <= timeBitsMax
	b := scratch[:0]
	for _, part := range [...]string{p.Source, p.Provider, p.Type, p.Event, p.MessageID, p.Recipient} {
		b = appendPart(b, part)
	}
	if known {
		b = binary.BigEndian.AppendUint64(append(b, 1), uint64(ms))
	} else {
		ms = 0
		b = appendPart(append(b, 0), p.Stamp)
	}
	for _, value := range p.Discriminators {
		b = appendPart(b, value)
	}
	sum := sha256.Sum256(b)

	var uuid [16]byte
	binary.BigEndian.PutUint64(uuid[:8], uint64(ms)<<16)
	uuid[6] = 0x80 | sum[0]&0x0f // version 8
	uuid[7] = sum[1]
	copy(uuid[8:], sum[2:10])
	uuid[8] = 0x80 | uuid[8]&0x3f // the RFC's variant
	return format(uuid), b
}

func appendPart(b []byte, part string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
	return append(b, part...)
}

func format(uuid [16]byte) string {
	var text [idBytes]byte
	hex.Encode(text[0:8], uuid[0:4])
	hex.Encode(text[9:13], uuid[4:6])
	hex.Encode(text[14:18], uuid[6:8])
	hex.Encode(text[19:23], uuid[8:10])
	hex.Encode(text[24:36], uuid[10:16])
	for _, i := range [...]int{8, 13, 18, 23} {
		text[i] = '-'
	}
	return string(text[:])
}
