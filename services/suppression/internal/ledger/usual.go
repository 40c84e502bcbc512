package ledger

import (
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// decodeUsual reads a value in exactly the form that encode gives to a state without soft
// bounces and history, as nearly all are; ok is false for every other, which encoding/json
// reads. A replica that reads 20 million records at its start spends most of its time here.
func decodeUsual(value []byte) (s schemas.Suppression, ok bool) {
	u := usual{value: value, text: string(value)}
	s.Hash, ok = u.member(`{"recipient_hash":"`)
	if !ok {
		return s, false
	}
	s.Address, _ = u.member(`,"address":"`)
	s.ErasedAt = u.moment(`,"erased_at":"`)
	if !u.take(`,"entries":[`) {
		return s, false
	}
	for !u.failed && !u.take(`]`) {
		if len(s.Entries) > 0 && !u.take(`,`) {
			return s, false
		}
		e, ok := u.entry()
		if !ok {
			return s, false
		}
		s.Entries = append(s.Entries, e)
	}
	s.UpdatedAt = u.moment(`,"updated_at":"`)
	return s, u.take(`}`) && u.at == len(u.text) && !u.failed && len(s.Entries) > 0
}

func (u *usual) entry() (e schemas.SuppressionEntry, ok bool) {
	if e.Scope, ok = u.member(`{"scope":"`); !ok {
		return e, false
	}
	reason, ok := u.member(`,"reason":"`)
	if !ok {
		return e, false
	}
	e.Reason = schemas.SuppressionReason(reason)
	e.Rule, _ = u.member(`,"rule":"`)
	e.AddedAt, e.RemovedAt = u.moment(`,"added_at":"`), u.moment(`,"removed_at":"`)
	e.ExpiresAt, e.Since = u.moment(`,"expires_at":"`), u.moment(`,"since":"`)
	e.Evidence, _ = u.member(`,"evidence":"`)
	e.Provider, _ = u.member(`,"provider":"`)
	e.Source, _ = u.member(`,"source":"`)
	e.Note, _ = u.member(`,"note":"`)
	e.RemovedBy, _ = u.member(`,"removed_by":"`)
	e.RemovedNote, _ = u.member(`,"removed_note":"`)
	return e, u.take(`}`)
}

// usual is a position in a value. Its strings share one copy of the value.
type usual struct {
	value  []byte
	text   string
	at     int
	failed bool // what came is read elsewhere
}

// take moves over text, and says whether it was there.
func (u *usual) take(text string) bool {
	if !strings.HasPrefix(u.text[u.at:], text) {
		return false
	}
	u.at += len(text)
	return true
}

// span moves over a member, which name begins with the quote of its value; it is empty
// where another one comes.
func (u *usual) span(name string) (begin, end int, ok bool) {
	if !u.take(name) {
		return 0, 0, false
	}
	for begin, end = u.at, u.at; end < len(u.text); end++ {
		switch c := u.text[end]; {
		case c == '"':
			u.at = end + 1
			return begin, end, true
		case c < ' ' || c > '~' || c == '\\':
			u.failed = true
			return 0, 0, false
		}
	}
	u.failed = true
	return 0, 0, false
}

func (u *usual) member(name string) (string, bool) {
	begin, end, ok := u.span(name)
	return u.text[begin:end], ok
}

func (u *usual) moment(name string) time.Time {
	begin, end, ok := u.span(name)
	if !ok {
		return time.Time{}
	}
	t, err := schemas.ParseTime(u.value[begin:end])
	u.failed = u.failed || err != nil
	return t
}
