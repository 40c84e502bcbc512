package reply

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMask_HidesPeople(t *testing.T) {
	t.Parallel()
	const recipient = "Jane.Doe@example.com"
	tests := []struct{ name, reply, want string }{
		{"nothing to hide", "550 5.7.1 blocked by policy", "550 5.7.1 blocked by policy"},
		{"in brackets", "550 <jane.doe@example.com>: no such user", "550 <<address>>: no such user"},
		{"bare, at the end of a sentence", "no mailbox for jane.doe@example.com.", "no mailbox for <address>."},
		{"another's address", "contact postmaster@big.test, please", "contact <address>, please"},
		{"local part alone", "user jane.doe unknown", "user <address> unknown"},
		{"local part in another case", "mailbox JANE.DOE: full", "mailbox <address>: full"},
		{"several lines", "550-5.7.1 a\r\n550 5.7.1 b\t c", "550-5.7.1 a 550 5.7.1 b c"},
		{"two in one word", "a@b.test,c@d.test", "<address>,<address>"},
		{"percent-encoded", "see https://x.test/?e=ana%40b.test&c=1", "see https://x.test/?e=<address>=1"},
		{"local part before its address", "user=jane.doe,rcpt=jane.doe@example.com", "user=<address>,rcpt=<address>"},
		{"local part twice", "jane.doe/JANE.DOE", "<address>/<address>"},
		{"return path", "<bounces-jane.doe=example.com@esp.test>", "<bounces-<address>=<address>>"},
		{"key and value", "rcpt=jane.doe@example.com;x=1", "rcpt=<address>;x=1"},
	}
	for _, tt := range tests {
		if got := Mask(tt.reply, recipient); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := Mask("user jane.doe unknown", "Jane.Doe+news@example.com"); got != "user <address> unknown" {
		t.Errorf("a mailbox without its tag: %q", got)
	}
	if got := Mask(strings.Repeat("é", 1_000), ""); utf8.RuneCountInString(got) != RunesMax {
		t.Errorf("%d runes, want %d", utf8.RuneCountInString(got), RunesMax)
	}
	if got := Mask("the end is near", "the@d.test"); got != "the end is near" {
		t.Errorf("a short local part blackens words: %q", got)
	}
}

func FuzzMask(f *testing.F) {
	f.Add("550 <a@b.test> x@y", "abcd@example.com")
	f.Add("abcd abcdabcd ABCD@ @abcd", "abcd@example.com")
	f.Fuzz(func(t *testing.T, reply, recipient string) {
		got := Mask(reply, recipient)
		if strings.Contains(got, "@") {
			t.Errorf("an @ is left in %q", got)
		}
		if n := utf8.RuneCountInString(got); n > RunesMax {
			t.Errorf("%d runes", n)
		}
	})
}
