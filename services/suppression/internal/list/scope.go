package list

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// nameBytesMax bounds the name of a stream or list inside a scope. The longest
// list id a provider documents is an address, 254 bytes (RFC 5321); a longer
// one is replaced by its hash, so a record stays small.
const nameBytesMax = 254

// hashedPrefix marks a name that was too long and is a hash instead.
const hashedPrefix = "sha256-"

// StreamScope returns the scope of one stream's mail.
func StreamScope(stream string) string { return schemas.ScopeStreamPrefix + boundName(stream) }

// ListScope returns the scope of mail to one list, by the provider's id for it.
func ListScope(list string) string { return schemas.ScopeListPrefix + boundName(list) }

// ValidateScope reports what is wrong with a scope that a caller wrote.
func ValidateScope(scope string) error {
	if scope == schemas.ScopeAccount {
		return nil
	}
	for _, prefix := range []string{schemas.ScopeStreamPrefix, schemas.ScopeListPrefix, schemas.ScopeSourcePrefix} {
		name, ok := strings.CutPrefix(scope, prefix)
		switch {
		case !ok:
			continue
		case name == "":
			return fmt.Errorf("scope %q has no name after the colon", scope)
		case len(name) > nameBytesMax:
			return fmt.Errorf("scope name is %d bytes long, the limit is %d", len(name), nameBytesMax)
		}
		return nil
	}
	return fmt.Errorf("scope must be %q, %q, %q or %q",
		schemas.ScopeAccount, schemas.ScopeStreamPrefix+"<name>", schemas.ScopeListPrefix+"<id>", schemas.ScopeSourcePrefix+"<name>")
}

// Query is what a sender is about to send. An empty Stream, List or Source means that
// the sender did not say, and then every entry that might be meant counts.
type Query struct {
	Stream string // "marketing"
	List   string // the provider's list id
	Source string // the account that it goes out by
	// Transactional says that Stream carries mail a person needs whatever they
	// unsubscribed from: receipts, password resets.
	Transactional bool
}

// Covers reports whether e, were it active, forbids the mail of q.
//
// An unsubscribe from the account or from a list never reaches a transactional
// stream; an entry for exactly that stream does. Without a list in q, a list's
// entry counts for every stream but a transactional one.
func (q Query) Covers(e schemas.SuppressionEntry) bool {
	if e.Scope == schemas.ScopeAccount {
		return !q.Transactional || e.Reason != schemas.SuppressUnsubscribe
	}
	if name, ok := strings.CutPrefix(e.Scope, schemas.ScopeStreamPrefix); ok {
		return q.Stream == "" || name == boundName(q.Stream)
	}
	if name, ok := strings.CutPrefix(e.Scope, schemas.ScopeSourcePrefix); ok {
		return (q.Source == "" || name == boundName(q.Source)) && (!q.Transactional || e.Reason != schemas.SuppressUnsubscribe)
	}
	name, ok := strings.CutPrefix(e.Scope, schemas.ScopeListPrefix)
	switch {
	case !ok: // a scope of a later version: the careful answer
		return true
	case q.Transactional && (q.List == "" || e.Reason == schemas.SuppressUnsubscribe):
		return false
	default:
		return q.List == "" || name == boundName(q.List)
	}
}

// Strongest returns the entry to name when one is asked why q must not be sent at now
// to somebody of whom states are: the hardest reason, then the first state, then the
// widest scope. ok is false when q may be sent.
func Strongest(q Query, now time.Time, states ...schemas.Suppression) (of int, e schemas.SuppressionEntry, ok bool) {
	for i := range states {
		entries := states[i].Entries
		for j := range entries {
			if Active(entries[j], now) && q.Covers(entries[j]) && (!ok || rank(entries[j].Reason) < rank(e.Reason)) {
				of, e, ok = i, entries[j], true
			}
		}
	}
	return of, e, ok
}

// reasons lists every reason from the hardest to lift to the easiest.
var reasons = [...]schemas.SuppressionReason{
	schemas.SuppressComplaint, schemas.SuppressHardBounce, schemas.SuppressManual,
	schemas.SuppressUnsubscribe, schemas.SuppressProvider, schemas.SuppressSoftBounce,
}

// Reasons returns every reason from the hardest to lift to the easiest. The
// caller owns the slice.
func Reasons() []schemas.SuppressionReason { return slices.Clone(reasons[:]) }

// rank is the place in reasons; a reason of a later version comes first.
func rank(r schemas.SuppressionReason) int { return slices.Index(reasons[:], r) }

func boundName(name string) string {
	if len(name) <= nameBytesMax {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hashedPrefix + hex.EncodeToString(sum[:])
}
