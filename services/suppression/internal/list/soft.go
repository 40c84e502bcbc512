package list

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

const (
	// SoftDaysMax bounds the days whose soft bounces are kept: three steps of five days.
	// Older ones would only say once more that the address fails.
	SoftDaysMax = 16
	// SoftPerDayMax bounds the messages kept of a day and reason, and so the messages a
	// threshold may ask for. With all four reasons a record has 1280 bounces at most, 260 KB.
	SoftPerDayMax = 10
	// softPerMessageMax bounds the bounces kept of one message, day and reason: providers
	// report the last attempt, some the one before it too.
	softPerMessageMax = 2
	// messageHexBytes is the length of SoftBounce.Message: of some hundred messages of
	// one address no two have the same 64 bits.
	messageHexBytes = 16
)

// softOf returns e as a soft bounce.
func softOf(e *schemas.Event) schemas.SoftBounce {
	name := e.MessageID
	if name == "" {
		name = e.ID
	}
	sum := sha256.Sum256([]byte(e.Source + "\x00" + name))
	return schemas.SoftBounce{
		At: Stamp(eventTime(e)), Reason: e.Reason, Message: hex.EncodeToString(sum[:])[:messageHexBytes],
		Evidence: e.ID, Provider: e.Provider, Source: e.Source,
	}
}

// softDay is the day of the thresholds, in UTC.
func softDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// healedAt is until when soft bounces do not count any more.
func healedAt(entries []schemas.SuppressionEntry) time.Time {
	if i := slices.IndexFunc(entries, ofLadder); i >= 0 {
		return entries[i].RemovedAt
	}
	return time.Time{}
}

// ofLadder says that an entry is the one that Settle makes.
func ofLadder(e schemas.SuppressionEntry) bool { return e.Rule == schemas.RuleSoftBounces }

// mergeSoft returns what is kept of two sets of soft bounces. Each bound keeps the
// latest, and what healed takes out is the earliest, so neither the order of merges nor
// that of healing and bounds matters. From the tenth message of a day and reason on
// nothing earlier is kept, a second bounce of one of the ten included: whether that one is
// still there would depend on what crowded its message out before.
func mergeSoft(a, b []schemas.SoftBounce, healed time.Time) []schemas.SoftBounce {
	if len(a) == 0 && len(b) == 0 {
		return nil
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b schemas.SoftBounce) int { return compareSoft(b, a) }) // the latest first
	type bucket struct {
		day    time.Time
		reason schemas.Reason
	}
	messages, days := map[bucket]map[string]int{}, map[time.Time]bool{}
	kept := all[:0]
	for _, s := range slices.CompactFunc(all, sameSoft) {
		if days[softDay(s.At)] = true; !s.At.After(healed) || len(days) > SoftDaysMax {
			break
		}
		in := bucket{softDay(s.At), s.Reason}
		of := messages[in]
		if of == nil {
			of = map[string]int{}
			messages[in] = of
		}
		if of[s.Message] == softPerMessageMax || len(of) == SoftPerDayMax {
			continue
		}
		of[s.Message]++
		kept = append(kept, s)
	}
	if len(kept) == 0 {
		return nil
	}
	slices.Reverse(kept)
	return slices.Clip(kept)
}

func compareSoft(a, b schemas.SoftBounce) int {
	return cmp.Or(
		a.At.Compare(b.At), strings.Compare(string(a.Reason), string(b.Reason)), strings.Compare(a.Message, b.Message),
		strings.Compare(a.Evidence, b.Evidence), strings.Compare(a.Provider, b.Provider), strings.Compare(a.Source, b.Source),
	)
}

func sameSoft(a, b schemas.SoftBounce) bool { return compareSoft(a, b) == 0 }
