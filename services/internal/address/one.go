package address

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// One returns the canonical form of s if s is exactly one address as a person
// or a program writes it: alone, in angle brackets, or behind a display name (RFC
// 5322, section 3.4). What Canonical guesses at, because a provider reported it
// and its event must find a person, is refused here: lists, wildcards, URLs,
// comments and characters that no mailbox name has. The error says why and holds
// no part of s.
func One(s string) (string, error) {
	if plainLower(s) {
		return s, nil
	}
	spec, err := bare(strings.TrimSpace(s))
	if err != nil {
		return "", err
	}
	at := strings.LastIndexByte(spec, '@')
	switch {
	case at < 0:
		return "", refused("it has no @")
	case at == 0:
		return "", refused("the part before the @ is missing: give a full address, not a domain")
	case at == len(spec)-1:
		return "", refused("the domain after the @ is missing")
	}
	if err := checkLocal(spec[:at]); err != nil {
		return "", err
	}
	if err := checkDomain(spec[at+1:]); err != nil {
		return "", err
	}
	canonical, err := Canonical(spec)
	if err != nil {
		return "", refused("its domain or its length is not valid")
	}
	return canonical, nil
}

func refused(why string) error { return fmt.Errorf("%w: %s", ErrInvalid, why) }

// bare takes a display name and angle brackets off.
func bare(s string) (string, error) {
	if !strings.HasSuffix(s, ">") {
		if strings.ContainsRune(s, '<') {
			return "", refused("text follows the closing bracket, or the bracket is missing")
		}
		return s, nil
	}
	open := strings.LastIndexByte(s, '<')
	if open < 0 {
		return "", refused("it has a closing bracket only")
	}
	name := strings.TrimSpace(s[:open])
	if quoted := len(name) >= 2 && name[0] == '"' && name[len(name)-1] == '"'; quoted {
		inner := strings.NewReplacer(`\\`, "", `\"`, "").Replace(name[1 : len(name)-1])
		if strings.ContainsRune(inner, '"') {
			return "", refused("its display name has a quote inside")
		}
	} else if strings.ContainsAny(name, `<>@,;:"()[]\`) {
		return "", refused("more than one address, or a display name that needs quotes")
	}
	return strings.TrimSpace(s[open+1 : len(s)-1]), nil
}

// checkLocal takes a dot-string, more than RFC 5321 does where people have such
// mailboxes (dots at the ends and in a row), or a quoted string.
func checkLocal(local string) error {
	if !utf8.ValidString(local) {
		return refused("it is not UTF-8")
	}
	if len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"' {
		inner := strings.NewReplacer(`\\`, "", `\"`, "").Replace(local[1 : len(local)-1])
		if strings.ContainsAny(inner, "\"\\") || strings.ContainsFunc(inner, forbidden) || inner == "" {
			return refused("the quoted part before the @ is malformed")
		}
		return nil
	}
	if scheme, _, is := strings.Cut(local, ":"); is && strings.EqualFold(scheme, "mailto") {
		return refused("it is a mailto: URL; leave the scheme out")
	}
	for _, r := range local {
		switch {
		case r == '*':
			return refused("only a pattern has a *, for all before the @ or for all subdomains; name one address")
		case r == '@' || r == ',' || r == ';':
			return refused("more than one address")
		case r == '(' || r == ')':
			return refused("comments are not supported")
		case r < utf8.RuneSelf && !atom(r), r == utf8.RuneError, r >= utf8.RuneSelf && (unicode.IsSpace(r) || !unicode.IsPrint(r)):
			return refused("a character before the @ is not allowed in a mailbox name")
		}
	}
	return nil
}

// atom says whether r is allowed in a dot-string (RFC 5321, section 4.1.2).
func atom(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".!#$%&'+-/=?^_`{|}~", r)
}

// checkDomain leaves to Canonical what is about names that are not ASCII.
func checkDomain(domain string) error {
	if strings.HasPrefix(domain, "[") && strings.HasSuffix(domain, "]") {
		return nil // an address literal
	}
	for _, r := range domain {
		switch {
		case r == '*':
			return refused("only a pattern has a *, for all before the @ or for all subdomains; name one address")
		case r < utf8.RuneSelf && !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_'):
			return refused("a character after the @ is not allowed in a domain")
		}
	}
	return nil
}
