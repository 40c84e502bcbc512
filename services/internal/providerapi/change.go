package providerapi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mailstream/mailstream/services/internal/address"
)

// Refused is an entry that a provider did not take or let go of, and why.
type Refused struct {
	Listed
	Why string
}

// ErrReadOnly says that the operator has not said that the account may be changed.
var ErrReadOnly = errors.New("the account is read alone: set writable in the section providers to let commands change its lists")

// ErrKept says that a provider has no API call that takes an entry off.
var ErrKept = errors.New("the provider keeps it: its support has to lift it")

// writer is dial for what changes a list.
func writer(a Account, opt Options) (dialect, *client, error) {
	if !a.Writable {
		return dialect{}, nil, ErrReadOnly
	}
	return dial(a, opt)
}

// Find returns the entries of an address, in any of its spellings, on the lists of an
// account. It reads all of them where the provider has no call for one address.
func Find(ctx context.Context, a Account, opt Options, canonical string) ([]Listed, error) {
	d, c, err := dial(a, opt)
	if err != nil {
		return nil, fmt.Errorf("look up an address at %q: %w", a.Provider, err)
	}
	var found []Listed
	person := address.Mailbox(canonical)
	same := tidied(func(l Listed) error {
		if other, err := address.Canonical(l.Address); err == nil && address.Mailbox(other) == person {
			found = append(found, l)
		}
		return nil
	})
	if d.find == nil {
		err = d.read(ctx, c, same)
	} else {
		for _, spelling := range address.Spellings(canonical) {
			if err = d.find(ctx, c, spelling, same); err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look up an address at %s: %w", a.Provider, err)
	}
	return found, nil
}

// Lift takes an entry that Find has returned off the provider's list. One that is gone
// already is not an error; ErrKept is of one that cannot be lifted.
func Lift(ctx context.Context, a Account, opt Options, l Listed) error {
	d, c, err := writer(a, opt)
	if err == nil {
		err = d.lift(ctx, c, l)
	}
	if err != nil && !notFound(err) {
		return fmt.Errorf("lift an address at %s: %w", a.Provider, err)
	}
	return nil
}

// Wanted returns the entries that an entry of ours would be on the lists of an account:
// one for each of its lists that it reaches. Where there is none, why says why.
func Wanted(a Account, l Listed) (there []Listed, why string) {
	d := dialects()[a.Provider]
	switch {
	case d.add == nil:
		return nil, a.Provider + " has no call that adds an address"
	case d.takes != nil:
		return d.takes(a, l)
	}
	return wholeAccount(a, l)
}

// wholeAccount is of a provider with one list for all mail.
func wholeAccount(a Account, l Listed) ([]Listed, string) {
	if l.Stream != "" || l.List != "" {
		return nil, "the lists of " + a.Provider + " are for all mail of the account, and the entry is for a stream or a list"
	}
	return []Listed{l}, ""
}

// byStream is of a provider with a list for each of its streams. An unsubscribe from all
// mail does not reach the transactional one.
func byStream(l Listed, streams []string, transactional string) (there []Listed, why string) {
	if l.List != "" {
		return nil, "the provider has no lists, and the entry is for one"
	}
	for _, stream := range streams {
		every := l.Stream == "" && (l.Kind != Unsubscribe || stream != transactional)
		if every || l.Stream == stream {
			one := l
			one.Stream = stream
			there = append(there, one)
		}
	}
	if len(there) == 0 {
		why = "the provider has no such stream"
	}
	return there, why
}

// Add puts entries that Wanted has returned on the lists of an account. done is called
// after each call of the provider, with how many were in it and what it refused.
func Add(ctx context.Context, a Account, opt Options, entries []Listed, done func(n int, refused []Refused)) error {
	d, c, err := writer(a, opt)
	if err == nil && d.add == nil {
		err = errors.New("its API has no call that does this")
	}
	if err != nil {
		return fmt.Errorf("add to the lists of %s: %w", a.Provider, err)
	}
	for part := range slices.Chunk(entries, d.addMost) {
		if err := d.addPart(ctx, c, part, done); err != nil {
			return fmt.Errorf("add to the lists of %s: %w", a.Provider, err)
		}
	}
	return nil
}

// addPart adds part. Where the provider refuses all because of one, the one is found by
// halves, so that it keeps no other from being added.
func (d dialect) addPart(ctx context.Context, c *client, part []Listed, done func(int, []Refused)) error {
	refused, err := d.add(ctx, c, part)
	switch {
	case err == nil:
		done(len(part), refused)
	case !badRequest(err):
		return err
	case len(part) == 1:
		done(1, []Refused{{part[0], err.Error()}})
	default:
		half := len(part) / 2
		if err := d.addPart(ctx, c, part[:half], done); err != nil {
			return err
		}
		return d.addPart(ctx, c, part[half:], done)
	}
	return nil
}

// byPlace groups entries by what place names, in the order of their first.
func byPlace(entries []Listed, place func(Listed) string) [][]Listed {
	at, groups := map[string]int{}, [][]Listed{}
	for _, l := range entries {
		i, ok := at[place(l)]
		if !ok {
			i = len(groups)
			at[place(l)], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], l)
	}
	return groups
}

// addressesOf returns the addresses of entries.
func addressesOf(entries []Listed) []string {
	out := make([]string, len(entries))
	for i := range entries {
		out[i] = entries[i].Address
	}
	return out
}
