package classify

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Listing is the list that refused, where the reply names one. The zero value is
// none.
type Listing struct {
	Slug    string // a word that does not change: "spamhaus-zen"
	Name    string // for people: "Spamhaus ZEN"
	Subject string // the IP address or domain of ours; empty where the reply has none
	page    string
}

// URL returns where Subject is looked up or taken off.
func (l Listing) URL() string {
	if !strings.Contains(l.page, subjectMark) {
		return l.page
	}
	if l.Subject == "" { // the page without its query, which asks for one
		page, _, _ := strings.Cut(l.page, "?")
		return strings.ReplaceAll(page, subjectMark, "")
	}
	return strings.ReplaceAll(l.page, subjectMark, l.Subject)
}

// subjectMark is where a page's address takes what is looked up.
const subjectMark = "{subject}"

// list is one entry of blocklists.yaml.
type list struct {
	slug, name, page string
	of               subject
}

// subject is what a list has in it.
type subject uint8

const (
	ofAddress subject = iota // IP addresses
	ofDomain
)

// listFile is blocklists.yaml.
type listFile []struct {
	Slug   string         `yaml:"slug"`
	Name   string         `yaml:"name"`
	Page   string         `yaml:"page"`
	Of     string         `yaml:"of"`     // ip (default) or domain
	Reason schemas.Reason `yaml:"reason"` // default: blocklist
	Level  string         `yaml:"level"`  // default: sure
	Texts  []string       `yaml:"texts"`
}

func (c *Classifier) readLists(text []byte) error {
	var f listFile
	if err := config.Decode("blocklists.yaml", text, &f); err != nil {
		return err
	}
	seen := map[string]int{}
	for _, l := range f {
		at, ok := seen[l.Slug]
		if !ok {
			at = len(c.lists)
			seen[l.Slug] = at
			entry := list{slug: l.Slug, name: l.Name, page: l.Page}
			if l.Of == "domain" {
				entry.of = ofDomain
			} else if l.Of != "" && l.Of != "ip" {
				return fmt.Errorf("%s: of %q is neither ip nor domain", l.Slug, l.Of)
			}
			c.lists = append(c.lists, entry)
		} else if l.Name != "" || l.Page != "" {
			return fmt.Errorf("%s is listed twice with a name or page", l.Slug)
		}
		r := rule{level: sure, list: int16(at)}
		if l.Level != "" {
			if r.level = levelOf(l.Level); r.level == none {
				return fmt.Errorf("%s: %q is not a level", l.Slug, l.Level)
			}
		}
		if l.Reason == "" {
			l.Reason = schemas.Blocklist
		}
		reason, err := c.reason(l.Reason)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Slug, err)
		}
		r.reason = reason
		if err := c.addPhrases(r, signs, l.Texts); err != nil {
			return fmt.Errorf("%s: %w", l.Slug, err)
		}
	}
	return nil
}

// listing fills in which address or domain of ours the reply names.
func (c *Classifier) listing(l *list, text string) Listing {
	// "host mx.example.net[192.0.2.7] said: ..." has the server's own address first.
	if i := strings.Index(text, " said: "); i >= 0 {
		text = text[i:]
	}
	out := Listing{Slug: l.slug, Name: l.name, page: l.page}
	if l.of == ofDomain {
		out.Subject = domainIn(text)
	} else {
		out.Subject = addressIn(text)
	}
	return out
}

// addressBytesMax is the longest text of an IPv6 address without a zone.
const addressBytesMax = 39

// addressIn returns the first IP address of text.
func addressIn(text string) string {
	for i := 0; i < len(text); {
		if !startsAddress(text, i) {
			i++
			continue
		}
		end := i
		for end < len(text) && isAddressByte(text[end]) {
			end++
		}
		found := strings.TrimRight(text[i:end], ".:")
		if len(found) <= addressBytesMax && (strings.Count(found, ".") == 3 || strings.Count(found, ":") > 1) {
			if ip, err := netip.ParseAddr(found); err == nil && !ip.IsUnspecified() && !ip.IsLoopback() {
				return found
			}
		}
		i = max(end, i+1)
	}
	return ""
}

// startsAddress says that an address may begin at i: a number, or letters that are
// hexadecimal digits before a colon.
func startsAddress(text string, i int) bool {
	if i > 0 && isWord(text[i-1]) || !isAddressByte(text[i]) {
		return false
	}
	return isDigit(text[i]) || text[i] != '.' && strings.IndexByte(text[i:min(i+5, len(text))], ':') >= 0
}

func isAddressByte(c byte) bool {
	return isDigit(c) || c == '.' || c == ':' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// domainIn returns the first domain of text that is in no URL and no address,
// and not the list's own name behind "using" or "by".
func domainIn(text string) string {
	for field := range strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune(" \t\r\n<>()[]{}\"',;", c) }) {
		name := strings.TrimRight(field, ".:")
		if strings.ContainsAny(name, "/@:=_") || !strings.Contains(name, ".") {
			continue
		}
		if last := name[len(name)-1]; isDigit(last) || hostAt(strings.ToLower(name), 0, len(name)) != len(name) {
			continue
		}
		return strings.ToLower(name)
	}
	return ""
}
