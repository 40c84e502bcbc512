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

// take takes over rows that have changed, with one copy of the map for all of them; the
// caller keeps other writers away.
func (p *patterns) take(rows map[Key]row) {
	var put []schemas.Suppression
	gone := map[string]bool{} // by hash
	for k, r := range rows {
		if isPattern(r.state) {
			put = append(put, r.state)
		} else if !r.found && len(p.all()) > 0 {
			gone[k.String()] = true
		}
	}
	if len(put)+len(gone) == 0 {
		return
	}
	next := maps.Clone(p.all())
	if next == nil {
		next = map[string]schemas.Suppression{}
	}
	if len(gone) > 0 {
		maps.DeleteFunc(next, func(_ string, s schemas.Suppression) bool { return gone[s.Hash] })
	}
	for _, s := range put {
		next[s.Address] = s
	}
	p.byAddress.Store(&next)
}

func (p *patterns) all() map[string]schemas.Suppression {
	if all := p.byAddress.Load(); all != nil {
		return *all
	}
	return nil
}
