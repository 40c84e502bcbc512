package classify

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
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
	if err := yaml.UnmarshalWithOptions(machinesYAML, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read machines.yaml: %w", err)
	}
	m := &Machines{equal: make(map[string]bool, len(f.Equal)), contain: f.Contain, yes: true}
	for _, ua := range f.Equal {
		m.equal[ua] = true
	}
	return m, nil
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
