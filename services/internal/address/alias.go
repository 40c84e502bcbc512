package address

import "strings"

// aliases are the domains under which a mailbox provider delivers to one mailbox, each
// with the domain that stands for it. What is not here is another mailbox: dots and +tags
// tell mailboxes apart at nearly all providers. services/suppression/README.md has the sources.
//
// A domain has one alias at most, since a mailbox has one Former hash.
var aliases = map[string]string{
	// Consumer Gmail was googlemail.com in Germany and Britain until 2012 and 2010; mail to
	// either arrives in the one mailbox.
	"googlemail.com": "gmail.com",
}

// aliasOfDomain is aliases the other way round.
var aliasOfDomain = func() map[string]string {
	others := make(map[string]string, len(aliases))
	for alias, one := range aliases {
		others[one] = alias
	}
	return others
}()

// OneDomain returns the domain that stands for those of one mailbox.
func OneDomain(domain string) string {
	if one, is := aliases[domain]; is {
		return one
	}
	return domain
}

// Mailbox returns the canonical address that stands for all spellings of one mailbox.
func Mailbox(canonical string) string {
	at := strings.LastIndexByte(canonical, '@') + 1
	if one, is := aliases[canonical[at:]]; is {
		return canonical[:at] + one
	}
	return canonical
}

// Spellings returns the canonical addresses of one mailbox, that of Mailbox first.
func Spellings(canonical string) []string {
	out := []string{Mailbox(canonical)}
	if alias, ok := aliasOf(canonical); ok {
		out = append(out, alias)
	}
	return out
}

// aliasOf returns the spelling of a mailbox that does not stand for it; ok is false for
// most.
func aliasOf(canonical string) (alias string, ok bool) {
	at := strings.LastIndexByte(canonical, '@') + 1
	if _, is := aliases[canonical[at:]]; is {
		return canonical, true
	}
	domain, ok := aliasOfDomain[canonical[at:]]
	if !ok {
		return "", false
	}
	return canonical[:at] + domain, true
}
