package store

import (
	"maps"
	"strings"
	"sync/atomic"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
)

// patterns are the states that stand for many addresses, by their Address. They are few,
// and each check asks for them, so they are kept in memory; a map is never changed, but
// replaced.
type patterns struct {
	byAddress atomic.Pointer[map[string]schemas.Suppression]
}

// isPattern says that s stands for more than one address.
func isPattern(s schemas.Suppression) bool {
	return address.IsPattern(s.Address) || strings.HasPrefix(s.Address, schemas.MailboxProviderPrefix)
}

// put replaces states; the caller keeps other writers away.
func (p *patterns) put(states ...schemas.Suppression) {
	next := maps.Clone(p.all())
	if next == nil {
		next = map[string]schemas.Suppression{}
	}
	for _, s := range states {
		next[s.Address] = s
	}
	p.byAddress.Store(&next)
}

// drop forgets the state of a key.
func (p *patterns) drop(k Key) {
	next := maps.Clone(p.all())
	maps.DeleteFunc(next, func(_ string, s schemas.Suppression) bool { return s.Hash == k.String() })
	p.byAddress.Store(&next)
}

func (p *patterns) all() map[string]schemas.Suppression {
	if all := p.byAddress.Load(); all != nil {
		return *all
	}
	return nil
}
