package pipeline

import (
	"bytes"
	_ "embed"
	"os"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/services/alerting"
	"github.com/mailstream/mailstream/services/analytics"
	"github.com/mailstream/mailstream/services/console"
	"github.com/mailstream/mailstream/services/ingress"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
	"github.com/mailstream/mailstream/services/internal/providerapi"
	"github.com/mailstream/mailstream/services/suppression"
)

// Config is the whole configuration file, a section a service.
type Config struct {
	// Mode is production or development. In development the published secrets of
	// this repository, blank and short ones serve everywhere; in production a
	// service that listens beyond this host refuses them. Nothing else depends on
	// it. Default production.
	Mode Mode `yaml:"mode"`
	// Log is what is written to standard error.
	Log telemetry.Config `yaml:"log"`
	// Kafka is where the brokers are, how to be let in, and what the topics look
	// like.
	Kafka kafka.Config `yaml:"kafka"`
	// ClickHouse is where the server is and how to be let in.
	ClickHouse clickhouse.Config `yaml:"clickhouse"`
	// Privacy is what keeps addresses from being read back out of the stream.
	Privacy Privacy `yaml:"privacy"`
	// State is where services keep what can be rebuilt.
	State State `yaml:"state"`
	// Ingress takes the webhooks.
	Ingress ingress.Config `yaml:"ingress"`
	// Analytics stores the events in ClickHouse.
	Analytics analytics.Config `yaml:"analytics"`
	// Suppression keeps the list and answers checks.
	Suppression suppression.Config `yaml:"suppression"`
	// Alerting watches the rates and alerts people.
	Alerting alerting.Config `yaml:"alerting"`
	// Providers are the accounts whose own lists can be read, at most 1,000. No service
	// reads them: the keys are for `mailstream suppressions sync`. Default none.
	Providers providerapi.Accounts `yaml:"providers,omitempty"`
	// Console serves the pages for people.
	Console console.Config `yaml:"console"`
}

// Mode says what a deployment is for.
type Mode string

// The modes.
const (
	Production  Mode = "production"
	Development Mode = "development"
)

// Validate reports an unknown mode to p.
func (m Mode) Validate(p *config.Problems) {
	p.Check(m == Production || m == Development, "", "%q is neither production nor development", m)
}

// Privacy is the `privacy` section.
type Privacy struct {
	// Pepper keys the recipient hashes: at least 16 bytes, the same for all
	// services and for ever. With another pepper all hashes change, and no entry of
	// the suppression list matches any more. Required.
	Pepper config.Secret `yaml:"pepper"`
}

// Validate reports every fault to p.
func (c Privacy) Validate(p *config.Problems) {
	const bytesMin = 16
	p.Check(len(c.Pepper.Reveal()) >= bytesMin, "pepper", "has %d bytes, want at least %d", len(c.Pepper.Reveal()), bytesMin)
}

// State is the `state` section.
type State struct {
	// Dir holds what services keep on local disk, a folder a service. All of it
	// can be rebuilt from Kafka. Default "state": below the working directory.
	Dir string `yaml:"dir"`
}

// Validate reports every fault to p.
func (c State) Validate(p *config.Problems) {
	p.Check(c.Dir != "", "dir", "is empty")
}

// Default returns the configuration of an empty file. It is not valid without
// more: the pepper and the tokens of the protected APIs are missing.
func Default() Config {
	return Config{
		Mode:        Production,
		Log:         telemetry.Default(),
		Kafka:       kafka.Default(),
		ClickHouse:  clickhouse.Default(),
		State:       State{Dir: "state"},
		Ingress:     ingress.Default(),
		Analytics:   analytics.Default(),
		Suppression: suppression.Default(),
		Alerting:    alerting.Default(),
		Console:     console.Default(),
	}
}

//go:embed dev.yaml
var devYAML []byte

// developmentFile is dev.yaml with a source a provider.
func developmentFile() []byte {
	var out bytes.Buffer
	out.Write(devYAML)
	out.WriteString("  sources:\n") // of ingress, the last section of the file
	for line := range strings.Lines(registry.DevelopmentSources()) {
		out.WriteString("    " + line)
	}
	return out.Bytes()
}

// Dev returns the configuration of `make dev`: the defaults with one source a
// provider and published secrets. It is for a laptop.
func Dev() (Config, error) {
	cfg := Default()
	_, err := config.Load(&cfg, Default(), config.Source{File: developmentFile(), Name: "the development configuration"})
	return cfg, err
}

// Input is what Load reads.
type Input struct {
	// File is the YAML text, nil when there is none; Name is shown instead of it in
	// messages.
	File []byte
	Name string
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// Services are those that will run; only what they read is validated. None
	// means all.
	Services []Name
	// Base is laid under the file; nil is Default.
	Base *Config
}

// Load returns the effective configuration and a line for each environment
// variable that looks like ours and sets nothing. The error lists every fault with
// its place, field, value and bound. What it lets pass, New builds.
func Load(in Input) (cfg Config, unused []string, err error) {
	cfg = Default()
	if in.Base != nil {
		cfg = *in.Base
	}
	unused, err = config.Load(&cfg, Default(), config.Source{
		File: in.File, Name: in.Name, Environ: in.Environ, ReadFile: os.ReadFile, Sections: sections(in.Services),
		More: func() []string { return cfg.more(in.Services) },
		Across: func(p *config.Problems) {
			cfg.across(p, in.Services)
			cfg.checkReaders(p, in)
		},
	})
	return cfg, unused, err
}

// Print returns cfg as YAML, secrets as <set>.
func (c Config) Print() (string, error) { return config.Print(c) }

// sections lists what the named services read.
func sections(names []Name) []string {
	if len(names) == 0 {
		return nil
	}
	list := []string{"mode", "log"}
	for _, name := range names {
		for _, d := range directory() {
			if d.name == name {
				list = append(list, d.sections...)
			}
		}
	}
	return list
}

// more lists what the named services read only because of how they are configured.
func (c Config) more(names []Name) []string {
	if slices.Contains(names, Analytics) && len(c.Analytics.Tokens) > 0 {
		return []string{"privacy"}
	}
	return nil
}

// Names of things that are configured but are not a long-running service.
const (
	Topics        Name = "topics"
	Migrate       Name = "migrate"
	Simulate      Name = "simulate"
	Backtest      Name = "backtest"
	TestReceiver  Name = "test-receiver"
	Unsubscribe   Name = "unsubscribe-link"
	Sync          Name = "sync"
	ForgetPeople  Name = "forget"
	ExportSubject Name = "subject-export"
	Replay        Name = "replay"
)
