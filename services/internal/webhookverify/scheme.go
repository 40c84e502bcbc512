package webhookverify

import (
	"slices"
	"time"
)

// scheme is how one provider signs.
type scheme struct {
	provider string
	// window is the replay_window where none is configured; 0 says that no time is
	// signed, so that there is nothing to compare.
	window time.Duration
	fields []string // settings with a meaning, beside replay_window where a time is signed
	build  func(*builder) Verifier
}

func (s scheme) takes(field string) bool {
	return slices.Contains(s.fields, field) || field == "replay_window" && s.window > 0
}

// The windows, as each provider's retries allow.
const (
	windowUsual    = 5 * time.Minute // of Standard Webhooks, Mailchimp, HubSpot
	windowMailgun  = 9 * time.Hour   // retries for 8 h, maybe with the first time
	windowSendGrid = 25 * time.Hour  // retries for 24 h, maybe with the first time
)

// schemes is which provider signs how. A provider that is not here signs
// nothing.
func schemes() []scheme {
	return []scheme{
		{"mailgun", windowMailgun, []string{"signing_keys"}, newMailgun},
		{"sendgrid", windowSendGrid, []string{"signing_keys"}, newSendGrid},
		{"ses", 0, []string{"sns"}, newSNS},
		{"mandrill", 0, []string{"signing_keys", "public_url"}, newMandrill},
		{"resend", windowUsual, []string{"signing_keys"}, newStandard},
		{"mailersend", 0, []string{"signing_keys"}, newMailerSend},
		{"mailtrap", 0, []string{"signing_keys"}, newMailtrap},
		{"postal", 0, []string{"signing_keys", "jwks_url"}, newPostal},
		{"mailchimp", windowUsual, []string{"signing_keys"}, newMailchimp},
		{"generic", windowUsual, []string{"signing_keys", "public_url", "signature"}, newCustom},
	}
}

func schemeOf(provider string) (scheme, bool) {
	for _, s := range schemes() {
		if s.provider == provider {
			return s, true
		}
	}
	return scheme{}, false
}

// Providers returns the names of the providers that sign. The caller owns the
// slice.
func Providers() []string {
	list := schemes()
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.provider
	}
	return names
}
