// Package store keeps the merged state of every address on this machine, so
// that a check asks no network, and remembers up to which record of the
// suppressions topic it has read.
//
// It guarantees that states and positions change together or not at all, that
// merging is the only way a state grows, and that what it holds after a crash
// is what some prefix of its updates had made. Everything in it can be rebuilt
// from the topic, so a store that is damaged or belongs to another topic is
// emptied, not repaired. It decides nothing: package list does.
package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// KeyBytes is the size of a Key.
const KeyBytes = 16

// Key is a recipient hash in binary. Its bytes are those of a keyed hash, so
// they are as good as random.
type Key [KeyBytes]byte

// String returns the recipient hash.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Compare orders keys as a store does.
func (k Key) Compare(other Key) int { return bytes.Compare(k[:], other[:]) }

// Next returns the key after k in order; ok is false when k is the last.
func (k Key) Next() (next Key, ok bool) {
	for i := KeyBytes - 1; i >= 0; i-- {
		k[i]++
		if k[i] != 0 {
			return k, true
		}
	}
	return k, false
}

// ErrNotHash says that a text is not a recipient hash.
var ErrNotHash = errors.New("not a recipient hash: want 32 lower-case hex digits")

// ParseKey reads a recipient hash.
func ParseKey(hash string) (Key, error) {
	var k Key
	if len(hash) != 2*KeyBytes {
		return k, ErrNotHash
	}
	for i := range k {
		high, low := hexDigit(hash[2*i]), hexDigit(hash[2*i+1])
		if high|low > 0xf {
			return k, ErrNotHash
		}
		k[i] = high<<4 | low
	}
	return k, nil
}

// hexDigit returns more than 15 for what is not a hex digit; upper case is not one, since it
// would be a second name of one key.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	default:
		return 0xff
	}
}

// Update is one state to merge in.
type Update struct {
	Key   Key
	State schemas.Suppression
	// FromTopic says that State is what the topic has for Key, read in order.
	// Where it lacks something the store knows, the key is remembered as behind;
	// where it does not, it is not behind any more.
	FromTopic bool
	// Purge forgets Key altogether: the topic's null record. State is ignored.
	Purge bool
}

// Batch is what changes together.
type Batch struct {
	Updates []Update
	// Applied are the offsets to read next, of the partitions that moved.
	Applied map[int32]int64
}

// row is what a store knows of one key.
type row struct {
	state  schemas.Suppression
	found  bool
	behind bool
}

// Settle makes of a merged state what the rules say of it: list.Ladder. Nil leaves it.
type Settle func(schemas.Suppression) schemas.Suppression

// apply returns what u makes of r and what of it changed.
func (r row) apply(u Update, settle Settle) (next row, stateChanged bool) {
	if u.Purge {
		return row{}, r.found
	}
	next = row{state: list.Merge(r.state, u.State), found: true, behind: r.behind}
	next.state.Hash = u.Key.String()
	if settle != nil {
		next.state = settle(next.state)
	}
	if u.FromTopic {
		topic := u.State
		topic.Hash = next.state.Hash
		next.behind = !list.SameFacts(next.state, topic)
	}
	return next, !r.found || !list.Same(r.state, next.state)
}

// ErrInUse says that another process, or another service of this one, has the
// folder open.
var ErrInUse = errors.New("in use by another process")

// ErrDamaged says that the files are not what was written. The store empties
// itself the next time it is opened.
var ErrDamaged = errors.New("store is damaged")

// damaged ends the process: the next start begins with an empty store.
func damaged(err error) error {
	return fate.Wrap(fate.Halt, fmt.Errorf("%w: %w", ErrDamaged, err))
}
