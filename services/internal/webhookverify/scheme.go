package webhookverify

import (
	"slices"
	"time"
)

// Scheme is how one provider signs. A scheme that a single provider uses is in the
// folder of that provider.
type Scheme struct {
	// Window is the replay_window where none is configured; 0 says that no time is
	// signed, so that there is nothing to compare.
	Window time.Duration
	// Fields are the settings with a meaning, beside replay_window where a time is
	// signed.
	Fields []string
	// Build returns the verifier, and reports faults of the settings with
	// Builder.Check. It does no I/O.
	Build func(*Builder) Verifier
}

func (s *Scheme) takes(field string) bool {
	return slices.Contains(s.Fields, field) || field == "replay_window" && s.Window > 0
}

// windowUsual is the window of Standard Webhooks and of HubSpot.
const windowUsual = 5 * time.Minute

// StandardWebhooks returns the scheme of the specification Standard Webhooks.
func StandardWebhooks() *Scheme { return &Scheme{windowUsual, []string{"signing_keys"}, newStandard} }

// Hex returns the scheme of a header with the hex HMAC-SHA256 of the body.
func Hex(header string) *Scheme {
	return &Scheme{0, []string{"signing_keys"}, func(b *Builder) Verifier {
		return &bodyMAC{header: header, keys: b.TextKeys()}
	}}
}

// Configured returns the scheme that a source describes in its configuration.
func Configured() *Scheme {
	return &Scheme{windowUsual, []string{"signing_keys", "public_url", "signature"}, newCustom}
}
