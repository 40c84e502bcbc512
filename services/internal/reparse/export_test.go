package reparse

import (
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/fingerprint"
	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// IDAs returns the id that ev would have if its parser called it t.
func IDAs(m *Maker, ev *schemas.Event, t schemas.Type) string {
	items, err := m.items(ev.Raw, normalise.Origin{Provider: ev.Provider, Source: ev.Source, ReceivedAt: ev.ReceivedAt},
		provider.Envelope{EventID: ev.ProviderEventID, Time: ev.Time})
	if err != nil {
		panic(err)
	}
	items[0].Event.Type = t
	fingerprint.Set(&items[0], nil)
	return items[0].Event.ID
}
