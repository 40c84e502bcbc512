package classify

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// The corpus must stay wide: a classifier that was measured with a few loud
// providers in English says little about the others.
const (
	minReplies           = 1500
	minServers           = 60
	minLanguages         = 10 // besides English
	minRepliesOfLanguage = 15
	corpusColumns        = 8
)

var corpusHeader = []string{"server", "language", "source", "reason", "dead", "blocklist", "code", "text"}

// corpusWords are the closed sets of the columns; a column that is absent here
// is held by corpusShapes.
var corpusWords = map[string][]string{
	"source": {"template", "documentation", "rfc", "convention", "recollection"},
	"reason": {
		"invalid_recipient", "mailbox_inactive", "domain_not_found", "mailbox_full", "reputation",
		"authentication", "policy", "rate_limited", "spam_content", "template_error", "greylisted",
		"timeout", "message_too_large", "relay_denied", "protocol_error", "loop", "system_error",
		"sender_address", "blocklist", "other",
	},
	"dead": {"yes", "likely", "no", "unknown"},
}

var corpusShapes = map[string]*regexp.Regexp{
	"server":    regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`),
	"language":  regexp.MustCompile(`^[a-z]{2}$`),
	"blocklist": regexp.MustCompile(`^([a-z0-9]+(-[a-z0-9]+)*)?$`),
	"code":      regexp.MustCompile(`^([245][0-9]{2})?$`),
	"text":      regexp.MustCompile(`^\S(.*\S)?$`),
}

// corpusReply is one line of testdata/replies.tsv.
type corpusReply struct {
	server, language, source, reason, dead, blocklist, code, text string
}

func readCorpus(tb testing.TB) []corpusReply {
	tb.Helper()
	bytes, err := os.ReadFile("testdata/replies.tsv")
	if err != nil {
		tb.Fatal(err)
	}
	header, body, _ := strings.Cut(strings.TrimSuffix(string(bytes), "\n"), "\n")
	if header != strings.Join(corpusHeader, "\t") {
		tb.Fatalf("header is %q", header)
	}
	var replies []corpusReply
	for i, line := range strings.Split(body, "\n") {
		r, err := parseReply(line)
		if err != nil {
			tb.Errorf("line %d: %v", i+2, err)
			continue
		}
		replies = append(replies, r)
	}
	return replies
}

func parseReply(line string) (corpusReply, error) {
	f := strings.Split(line, "\t")
	if len(f) != corpusColumns {
		return corpusReply{}, fmt.Errorf("%d columns, want %d", len(f), corpusColumns)
	}
	for i, column := range corpusHeader {
		words, closed := corpusWords[column]
		if closed && !slices.Contains(words, f[i]) || !closed && !corpusShapes[column].MatchString(f[i]) {
			return corpusReply{}, fmt.Errorf("%s is %q", column, f[i])
		}
	}
	if foreign := foreignName(f[7]); foreign != "" {
		return corpusReply{}, fmt.Errorf("%q is no documentation name", foreign)
	}
	return corpusReply{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]}, nil
}

func TestCorpus_Form(t *testing.T) {
	t.Parallel()
	replies := readCorpus(t)
	servers, languages := map[string]int{}, map[string]int{}
	seen := map[string]corpusReply{}
	for _, r := range replies {
		servers[r.server]++
		languages[r.language]++
		// The same words may stand twice where the code turns the verdict.
		key := bareWords(r.text) + "\t" + r.reason + "\t" + r.dead
		if other, twice := seen[key]; twice {
			t.Errorf("%q differs from %q in names and numbers only", r.text, other.text)
		}
		seen[key] = r
	}
	if len(replies) < minReplies {
		t.Errorf("%d replies, want at least %d", len(replies), minReplies)
	}
	if len(servers) < minServers {
		t.Errorf("%d servers, want at least %d", len(servers), minServers)
	}
	delete(languages, "en")
	maps.DeleteFunc(languages, func(_ string, n int) bool { return n < minRepliesOfLanguage })
	if len(languages) < minLanguages {
		t.Errorf("%d languages with %d replies, want at least %d", len(languages), minRepliesOfLanguage, minLanguages)
	}
}

// A blocklist's name is evidence about the sender: it can't stand beside a dead
// recipient, and a reason that blames the recipient needs a statement about him.
func TestCorpus_LabelsAgree(t *testing.T) {
	t.Parallel()
	recipient := []string{"invalid_recipient", "mailbox_inactive", "domain_not_found"}
	for _, r := range readCorpus(t) {
		ofRecipient := slices.Contains(recipient, r.reason)
		switch {
		case r.blocklist != "" && r.dead != "no":
			t.Errorf("%q names a blocklist, and dead is %s", r.text, r.dead)
		case r.dead == "yes" && !ofRecipient:
			t.Errorf("%q is dead by %s", r.text, r.reason)
		case r.dead == "no" && ofRecipient:
			t.Errorf("%q is alive in spite of %s", r.text, r.reason)
		}
	}
}

func TestParseReply_Refuses(t *testing.T) {
	t.Parallel()
	good := "postfix\ten\ttemplate\tinvalid_recipient\tyes\t\t550\t550 5.1.1 <a@example.com>: User unknown"
	if _, err := parseReply(good); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"a column too many", "User unknown", "User\tunknown"},
		{"an open word", "invalid_recipient", "user_unknown"},
		{"a server with a space", "postfix", "post fix"},
		{"an unknown source", "template", "guess"},
		{"a reply that passed", "\t550\t", "\t350\t"},
		{"an empty text", "550 5.1.1 <a@example.com>: User unknown", ""},
		{"a real address", "a@example.com", "a@mailbox.example.invalid"},
		{"a real host", "User", "mx.shop-of-somebody.com: User"},
		{"a real IP address", "User", "8.8.8.8: User"},
		{"a real IPv6 address", "User", "[2a00:1450:4001::1]: User"},
	} {
		if _, err := parseReply(strings.Replace(good, tt.old, tt.new, 1)); err == nil {
			t.Errorf("%s was taken", tt.name)
		}
	}
}

var (
	addressOf = regexp.MustCompile(`[\w.+=-]+@([\w-]+(?:\.[\w-]+)*)`)
	hostOf    = regexp.MustCompile(`(?:[A-Za-z0-9-]+\.)+(?:com|net|org|edu|gov|info|biz|io|cc|lv|de|fr|it|es|nl|be|ch|at|pl|cz|se|uk|ru|ua|jp|cn|tw|kr|br|mx|ca|au|in|hu|no|dk|fi|tr|zone)\b`)
	ipv4Of    = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}\b`)
	ipv6Of    = regexp.MustCompile(`\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){2,7}\b`)
	codeOf    = regexp.MustCompile(`^[245][0-9]{2}-`)
	exampleOf = regexp.MustCompile(`(?i)(^|\.)example(\.[a-z]{2,3}){0,2}$`)
	numberOf  = regexp.MustCompile(`[0-9]+`)
)

// documentation are the ranges of RFC 5737 and RFC 3849.
var documentation = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
}

// operators are the public sites of the servers, which their templates name.
var operators = strings.Fields(`
	0spam.org abusix.com abusix.zone alice.it aliyun.com antispamcloud.com aol.com apple.com att.net backscatterer.org
	barracudacentral.com barracudacentral.org barracudanetworks.com blocklist.de clamav.net cloudmark.com comcast.net
	cox.com cox.net cyren.com dronebl.org fortiguard.com free.fr gbudb.com gbudb.net gmx.net godaddy.com google.com
	hotmail.com inbox.lv interserver.net invaluement.com isi.edu junkemailfilter.com kisarbl.or.kr kundenserver.de
	laposte.net live.com mail-abuse.com mail.ru mail.yahoo.com mailchannels.net mailspike.net manitu.net messagelabs.com
	mimecast.com mimecast.org movistar.es njabl.org office.com openspf.net openspf.org ordb.org outlook.com pobox.com
	proofpoint.com psbl.org qq.com rogers.com rr.com s5h.net schweikert.ch secureserver.net senderbase.org
	senderscore.com senderscore.org sophos.com sorbs.net spamcop.net spamhaus.net spamhaus.org spamrats.com spamrl.com
	spfbl.net surbl.org surriel.com symantec.com symanteccloud.com sympatico.ca t-online.de talktalk.co.uk
	talosintelligence.com telenet-ops.be tiscali.it trendmicro.com uceprotect.net ukr.net uribl.com web.de wpbl.info
	1und1.de 163.com ya.cc yahoo.com yahooinc.com yandex.ru
`)

// foreignName is the first address, host or IP address in a text that could be
// somebody's: neither for documentation nor the site of an operator.
func foreignName(text string) string {
	text = strings.ReplaceAll(text, "%40", "@") // addresses in URLs
	for _, m := range addressOf.FindAllStringSubmatch(text, -1) {
		if !exampleOf.MatchString(m[1]) {
			return m[0]
		}
	}
	for _, host := range hostOf.FindAllString(text, -1) {
		// Servers set their code before their name: "554-gmx.net".
		name := "." + codeOf.ReplaceAllString(strings.ToLower(host), "")
		known := func(site string) bool { return strings.HasSuffix(name, "."+site) }
		if !exampleOf.MatchString(name) && !slices.ContainsFunc(operators, known) {
			return host
		}
	}
	for _, word := range append(ipv4Of.FindAllString(text, -1), ipv6Of.FindAllString(text, -1)...) {
		ip, err := netip.ParseAddr(word)
		inside := func(p netip.Prefix) bool { return p.Contains(ip) }
		if err == nil && !slices.ContainsFunc(documentation, inside) {
			return word
		}
	}
	return ""
}

// bareWords is what stays of a text without names, numbers and punctuation.
// Hyphens and underscores inside words stay: they break word lists.
func bareWords(text string) string {
	text = addressOf.ReplaceAllString(strings.ToLower(text), " ")
	text = hostOf.ReplaceAllStringFunc(text, func(host string) string {
		if exampleOf.MatchString(host) {
			return " "
		}
		return host
	})
	text = numberOf.ReplaceAllString(text, "")
	var words []string
	for _, word := range strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '-' && r != '_'
	}) {
		if word = strings.Trim(word, "-"); word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
