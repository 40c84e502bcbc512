package address

import "strings"

// A pattern names all mailboxes of a domain, or of everything below it.
const (
	ofDomain = "*@"   // "*@example.com"
	below    = "*@*." // "*@*.example.com": a.example.com, b.a.example.com, and not example.com
)

// IsPattern says that s means to be a pattern.
func IsPattern(s string) bool { return strings.HasPrefix(strings.TrimSpace(s), ofDomain) }

// Pattern returns the canonical form of a pattern. The domains of one mailbox have one:
// googlemail.com is gmail.com. A domain without a dot is refused: it would be a whole
// top-level domain.
func Pattern(s string) (string, error) {
	domain, is := strings.CutPrefix(strings.TrimSpace(s), ofDomain)
	if !is {
		return "", refused("a pattern is *@example.com, or *@*.example.com for what is below it")
	}
	prefix := ofDomain
	if rest, under := strings.CutPrefix(domain, "*."); under {
		prefix, domain = below, rest
	}
	canonical, err := One("postmaster@" + domain)
	if err != nil {
		return "", err
	}
	domain = Domain(canonical)
	if strings.HasPrefix(domain, "[") || !strings.Contains(domain, ".") {
		return "", refused("the domain of a pattern has no dot, or is not valid")
	}
	return prefix + OneDomain(domain), nil
}

// Patterns returns the patterns that a canonical address falls under, the narrowest
// first.
func Patterns(canonical string) []string {
	domain := OneDomain(Domain(canonical))
	out := []string{ofDomain + domain}
	for {
		_, parent, more := strings.Cut(domain, ".")
		if !more || !strings.Contains(parent, ".") {
			return out
		}
		out = append(out, below+parent)
		domain = parent
	}
}
