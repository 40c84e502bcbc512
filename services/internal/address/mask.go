package address

import (
	"regexp"
	"strings"
)

// form is what looks like an address within a text, in any script, also as a URL, mail or
// JSON has it.
var form = regexp.MustCompile(`(?i)("[^"@]{1,64}"|[\p{L}\p{M}\p{N}._%+\-=]+('[\p{L}\p{M}\p{N}._%+\-=]+)*)` +
	`(@|%(25)*40|=40|&#64;|&#x40;|&commat;|\\+u0040)[\p{L}\p{M}\p{N}\-]+((\.|%2e|=2e)[\p{L}\p{M}\p{N}\-]+)+`)

// Mask writes an address so that who typed it knows it and no other person learns it.
func Mask(address string) string {
	name, domain, ok := strings.Cut(address, "@")
	if !ok || name == "" {
		return strings.Repeat("•", min(len(address), 5))
	}
	return string([]rune(strings.TrimPrefix(name, `"`))[:1]) + "•••@" + domain
}

// Redact masks the addresses in a text.
func Redact(text string) string { return form.ReplaceAllStringFunc(text, Mask) }
