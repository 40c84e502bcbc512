package classify

import (
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

func load(tb testing.TB) *Classifier {
	tb.Helper()
	c, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// word says what a permanence pointer means.
func word(p *bool) string {
	switch {
	case p == nil:
		return "unknown"
	case *p:
		return "permanent"
	default:
		return "passing"
	}
}

func TestClassify_MailjetClasses(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct {
		class     string
		reason    schemas.Reason
		cause     schemas.Cause
		permanent string
	}{
		{"user unknown", schemas.InvalidRecipient, schemas.CauseRecipient, "permanent"},
		{"mailbox inactive", schemas.MailboxInactive, schemas.CauseRecipient, "permanent"},
		{"quota exceeded", schemas.MailboxFull, schemas.CauseRecipient, "passing"},
		{"blacklisted", schemas.OtherReason, schemas.CauseOther, "permanent"},
		{"spam reporter", schemas.SuppressedComplaint, schemas.CauseProvider, "permanent"},
		{"invalid domain", schemas.DomainNotFound, schemas.CauseRecipient, "permanent"},
		{"no mail host", schemas.DomainNotFound, schemas.CauseRecipient, "unknown"},
		{"relay/access denied", schemas.Policy, schemas.CauseSender, "unknown"},
		{"greylisted", schemas.Greylisted, schemas.CauseNetwork, "passing"},
		{"typofix", schemas.DomainNotFound, schemas.CauseRecipient, "permanent"},
		{"bad or empty template", schemas.TemplateError, schemas.CauseContent, "passing"},
		{"error in template language", schemas.TemplateError, schemas.CauseContent, "passing"},
		{"sender blocked", schemas.Policy, schemas.CauseSender, "passing"},
		{"content blocked", schemas.SpamContent, schemas.CauseContent, "passing"},
		{"policy issue", schemas.Policy, schemas.CauseSender, "passing"},
		{"system issue", schemas.OtherReason, schemas.CauseOther, "passing"},
		{"protocol issue", schemas.OtherReason, schemas.CauseOther, "passing"},
		{"connection issue", schemas.Timeout, schemas.CauseNetwork, "passing"},
		{"preblocked", schemas.SuppressedBounce, schemas.CauseProvider, "permanent"},
		{"spam preblocked", schemas.SuppressedComplaint, schemas.CauseProvider, "permanent"},
		{"duplicate in campaign", schemas.OtherReason, schemas.CauseOther, "passing"},
		{"  User Unknown ", schemas.InvalidRecipient, schemas.CauseRecipient, "permanent"},
		{"a class of next year", schemas.OtherReason, schemas.CauseOther, "unknown"},
		{"", schemas.OtherReason, schemas.CauseOther, "unknown"},
	} {
		t.Run(tt.class, func(t *testing.T) {
			t.Parallel()
			v := c.Classify(Input{Provider: "mailjet", Class: tt.class})
			if v.Reason != tt.reason || v.Cause != tt.cause || word(v.Permanent) != tt.permanent {
				t.Errorf("got %s, %s, %s", v.Reason, v.Cause, word(v.Permanent))
			}
		})
	}
}

func TestClassify_TheProvidersOwnWordOnPermanenceWins(t *testing.T) {
	t.Parallel()
	c := load(t)
	yes, no := true, false
	for _, tt := range []struct {
		name string
		in   Input
		want string
	}{
		{"full and hard", Input{Provider: "mailjet", Class: "quota exceeded", Permanent: &yes}, "permanent"},
		{"unknown and soft", Input{Provider: "mailjet", Class: "user unknown", Permanent: &no}, "passing"},
		{"nothing known and hard", Input{Permanent: &yes}, "permanent"},
		{"text and soft", Input{Reply: "550 5.1.1 user unknown", Permanent: &no}, "passing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := word(c.Classify(tt.in).Permanent); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestClassify_AHardBounceIsPermanentUnlessTheServerBlamesAnother(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct {
		name string
		in   Input
		want string
	}{
		{"nothing known", Input{}, "permanent"},
		{"no word of the server", Input{Provider: "mailjet", Class: "quota exceeded"}, "permanent"},
		{"a code that says nothing", Input{Provider: "ses", Class: "general", Reply: "smtp; 550 5.0.0 no"}, "permanent"},
		{"a fault of the server", Input{Provider: "ses", Class: "general", Reply: "smtp; 554 5.3.0 no"}, "permanent"},
		{"a code of the address and of the moment", Input{Provider: "ses", Class: "general", Reply: "smtp; 450 4.1.1 no"}, "permanent"},
		{"a bare policy", Input{Provider: "ses", Class: "general", Reply: "smtp; 550 5.7.1 no"}, "passing"},
		{"the same policy twice", Input{Provider: "mailjet", Class: "policy issue", Reply: "550 5.7.1 no"}, "passing"},
		{"a blocklist", Input{Provider: "ses", Class: "general", Reply: "smtp; 550 listed at dnsbl.example.net"}, "passing"},
		{"a full mailbox", Input{Provider: "ses", Class: "general", Reply: "smtp; 552 5.2.2 full"}, "passing"},
		{"an address on a list", Input{Provider: "ses", Class: "suppressed", Reply: "smtp; 550 5.7.1 no"}, "permanent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.in.Hard = true
			if got := word(c.Classify(tt.in).Permanent); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestClassify_AWeakClassIsRefinedByTheReply(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct {
		class, reply string
		want         schemas.Reason
		permanent    string
	}{
		{"sender blocked", "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org", schemas.Reputation, "passing"},
		{"policy issue", "550 5.7.26 This message does not pass authentication checks", schemas.Authentication, "passing"},
		{"policy issue", "550 5.7.1 we do not like you", schemas.Policy, "passing"},
		{"relay/access denied", "554 5.7.1 <ana@example.com>: Relay access denied", schemas.Policy, "passing"},
		{"system issue", "452 4.2.2 mailbox full", schemas.MailboxFull, "passing"},
		{"system issue", "451 4.3.0 internal", schemas.OtherReason, "passing"},
		{"user unknown", "552 5.2.2 mailbox full", schemas.InvalidRecipient, "permanent"},
	} {
		t.Run(tt.class+" "+tt.reply, func(t *testing.T) {
			t.Parallel()
			v := c.Classify(Input{Provider: "mailjet", Class: tt.class, Reply: tt.reply})
			if v.Reason != tt.want || word(v.Permanent) != tt.permanent {
				t.Errorf("got %s, %s, want %s, %s", v.Reason, word(v.Permanent), tt.want, tt.permanent)
			}
		})
	}
}

// Brevo's reply may be a phrase without a code, by whose class it would be judged.
func TestClassify_APermanentClassStandsWhereNoCodeTells(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct {
		class, reply string
		want         schemas.Reason
		permanent    string
	}{
		{"hard_bounce", "User unknown", schemas.InvalidRecipient, "permanent"},
		{"hard_bounce", "Domain not found", schemas.DomainNotFound, "permanent"},
		{"hard_bounce", "450 4.1.2 domain not found", schemas.DomainNotFound, "passing"},
		{"hard_bounce", "message rejected as spam", schemas.SpamContent, "passing"},
		{"a class of next year", "User unknown", schemas.InvalidRecipient, "unknown"},
	} {
		v := c.Classify(Input{Provider: "brevo", Class: tt.class, Reply: tt.reply})
		if v.Reason != tt.want || word(v.Permanent) != tt.permanent {
			t.Errorf("%s %q: got %s, %s, want %s, %s", tt.class, tt.reply, v.Reason, word(v.Permanent), tt.want, tt.permanent)
		}
	}
}

func TestNew_RefusesAFaultyFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text string }{
		{"no version", `codes: {550: {reason: other}}`},
		{"no such reason", "version: x\ncodes: {550: {reason: bad_luck}}"},
		{"no such permanence", "version: x\ncodes: {550: {reason: other, permanent: maybe}}"},
		{"no such key", "version: x\ncodez: {}"},
		{"no enhanced code", "version: x\nenhanced: {\"5.1\": {reason: other}}"},
		{"no enhanced code of a reply", "version: x\nreplies: [{any: [abcd], reason: other, enhanced: \"5.1\"}]"},
		{"a short text", "version: x\nreplies: [{any: [abc], reason: other}]"},
		{"no range", "version: x\nenhanced: {\"5.1.5-2\": {reason: other}}"},
		{"two ranges for one code", "version: x\nenhanced: {\"5.7.3-9\": {reason: policy}, \"x.7.9-12\": {reason: reputation}}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse([]byte(tt.text)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestNew_TakesRangesBesideEachOther(t *testing.T) {
	t.Parallel()
	const text = "version: x\nenhanced: {\"5.7.3-9\": {reason: policy}, \"4.7.3-9\": {reason: policy}, \"x.6.3-9\": {reason: policy}, \"5.7.10-12\": {reason: policy}}"
	if _, err := parse([]byte(text)); err != nil {
		t.Error(err)
	}
}

func TestCodes_FindsBothCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reply    string
		smtp     int
		enhanced string
	}{
		{"550 5.1.1 <nobody@example.com>: no such user", 550, "5.1.1"},
		{"sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)", 250, "2.0.0"},
		{"452 4.2.2 mailbox is over quota", 452, "4.2.2"},
		{"550-5.7.26 This mail is unauthenticated\n550 5.7.26 more", 550, "5.7.26"},
		{"smtp; 550 5.1.1 user unknown", 550, "5.1.1"},
		{"smtp;550 no such user", 550, ""},
		{"host mx.example.com[192.0.2.25] said: 554 5.7.1 denied (in reply to RCPT TO command)", 554, "5.7.1"},
		{"550 #5.1.0 Address rejected.", 550, "5.1.0"},
		{"421", 421, ""},
		{"550 permanent failure for one or more recipients (a@example.com:550 5.1.1 none)", 550, "5.1.1"},
		{"relay 5.9.1.20 is listed", 0, ""},
		{"connect to 192.0.2.250: timed out", 0, ""},
		{"Postfix/3.5.2 250ms", 0, ""},
		{"550 5.7.606 Access denied, banned sending IP [192.0.2.1]", 550, "5.7.606"},
		{"mailbox full (552)", 552, ""},
		{"no digits", 0, ""},
		{"", 0, ""},
		{"999 9.9.9", 0, ""},
		{"5.2.2. over quota", 0, "5.2.2"},
		{"user550@example.com 5.1.1", 0, "5.1.1"},
	} {
		t.Run(tt.reply, func(t *testing.T) {
			t.Parallel()
			smtp, enhanced := Codes(tt.reply)
			if smtp != tt.smtp || enhanced != tt.enhanced {
				t.Errorf("got %d %q, want %d %q", smtp, enhanced, tt.smtp, tt.enhanced)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("550 5.1.1 user unknown", "policy issue")
	f.Add("5.", "")
	f.Add("550-\xff5.7.26.", "x")
	c := load(f)
	f.Fuzz(func(t *testing.T, reply, class string) {
		code, enhanced := Codes(reply)
		if code != 0 && (code < 200 || code > 599) {
			t.Errorf("code %d", code)
		}
		if enhanced != "" {
			if _, _, _, ok := splitEnhanced(enhanced); !ok {
				t.Errorf("enhanced code %q", enhanced)
			}
		}
		v := c.Classify(Input{Provider: "mailjet", Class: class, Reply: reply})
		if v.Cause != schemas.CauseOf(v.Reason) || v.Reason == "" {
			t.Errorf("reason %q, cause %q", v.Reason, v.Cause)
		}
	})
}

func TestMachines_JudgesOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	m, err := NewMachines()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, userAgent, want string
	}{
		{"none", "", "unknown"},
		{"a browser", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "unknown"},
		{"Apple's proxy", "Mozilla/5.0", "permanent"},
		{"Gmail's prefetch", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0", "permanent"},
		{"Gmail's image proxy at an open", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "unknown"},
		{"a program", "python-requests/2.32.3", "permanent"},
		{"Yahoo's image proxy at an open", "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "unknown"},
		{"Outlook on a desk", "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0)", "unknown"},
		{"Apple Mail itself", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", "unknown"},
		{"a link checker", "LinkChecker/10.2 (+https://linkchecker.github.io/linkchecker/)", "permanent"},
		{"a preview of a chat", "WhatsApp/2.24.1.78 A", "permanent"},
		{"a preview", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "permanent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := word(m.Judge(tt.userAgent)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTooSoon(t *testing.T) {
	t.Parallel()
	sent := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		sent, at time.Time
		want     bool
	}{
		{"at once", sent, sent, true},
		{"within a second", sent, sent.Add(900 * time.Millisecond), true},
		{"the next second", sent, sent.Add(time.Second), true},
		{"later", sent, sent.Add(time.Second + time.Millisecond), false},
		{"before it was sent", sent, sent.Add(-time.Millisecond), false},
		{"not known when sent", time.Time{}, sent, false},
		{"not known when", sent, time.Time{}, false},
		{"neither", time.Time{}, time.Time{}, false},
	} {
		if got := TooSoon(tt.sent, tt.at); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}
