package classify

import (
	_ "embed"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

//go:embed machines.yaml
var machinesYAML []byte

// Machines knows the user agents of prefetchers and scanners. It is safe for
// concurrent use.
type Machines struct {
	equal   map[string]bool
	contain []string
	yes     bool // what Judge points to
}

// NewMachines reads the embedded data file. An error means that the file is at
// fault.
func NewMachines() (*Machines, error) {
	var f struct {
		Equal   []string `yaml:"equal"`
		Contain []string `yaml:"contain"`
	}
	if err := config.Decode("machines.yaml", machinesYAML, &f); err != nil {
		return nil, err
	}
	m := &Machines{equal: make(map[string]bool, len(f.Equal)), contain: f.Contain, yes: true}
	for _, ua := range f.Equal {
		m.equal[ua] = true
	}
	return m, nil
}

// haste is the time after sending within which no person can have opened the
// message: it has to be delivered, and the reader has to be notified. Providers
// that count in whole seconds may be off by one, so this holds for up to two.
const haste = time.Second

// TooSoon says that an open or click at at is a scanner's, for the mail was sent
// at sent by the clock of the same provider. It knows only that case: a time that
// is missing or before sent proves nothing, and neither does a later one.
func TooSoon(sent, at time.Time) bool {
	if sent.IsZero() || at.IsZero() {
		return false
	}
	after := at.Sub(sent)
	return after >= 0 && after <= haste
}

// Judge returns true for the user agent of a machine and nil for all others: no
// user agent proves a person.
func (m *Machines) Judge(userAgent string) *bool {
	if userAgent == "" {
		return nil
	}
	if m.equal[userAgent] {
		return &m.yes
	}
	for _, part := range m.contain {
		if strings.Contains(userAgent, part) {
			return &m.yes
		}
	}
	return nil
}
