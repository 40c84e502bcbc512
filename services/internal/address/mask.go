package address

import (
	"regexp"
	"strings"
)

// form is what looks like an address within a text, in any script.
var form = regexp.MustCompile(`[\p{L}\p{M}\p{N}._%+\-=]+@[\p{L}\p{M}\p{N}\-]+(\.[\p{L}\p{M}\p{N}\-]+)+`)

// Mask writes an address so that who typed it knows it and no other person learns it.
func Mask(address string) string {
	name, domain, ok := strings.Cut(address, "@")
	if !ok || name == "" {
		return strings.Repeat("•", min(len(address), 5))
	}
	return string([]rune(name)[0]) + "•••@" + domain
}

// Redact masks the addresses in a text.
func Redact(text string) string { return form.ReplaceAllStringFunc(text, Mask) }
