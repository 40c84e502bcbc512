package classify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

func load(tb testing.TB) *Classifier {
	tb.Helper()
	files, err := filepath.Glob("../provider/*/classes.yaml")
	if err != nil || len(files) == 0 {
		tb.Fatalf("%d files with classes of providers, %v", len(files), err)
	}
	classes := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		classes[filepath.Base(filepath.Dir(file))] = string(text)
	}
	c, err := New(classes)
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

func TestClassify_ClassesThatStandAlone(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct {
		provider, class string
		reason          schemas.Reason
		confidence      schemas.Confidence
		permanent       string
	}{
		{"mailjet", "user unknown", schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"mailjet", "  User Unknown ", schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"mailjet", "mailbox inactive", schemas.MailboxInactive, schemas.Certain, "permanent"},
		{"mailjet", "quota exceeded", schemas.MailboxFull, schemas.Certain, "passing"},
		{"mailjet", "blacklisted", schemas.OtherReason, schemas.Certain, "permanent"},
		{"mailjet", "spam reporter", schemas.SuppressedComplaint, schemas.Certain, "permanent"},
		{"mailjet", "invalid domain", schemas.DomainNotFound, schemas.Certain, "permanent"},
		{"mailjet", "no mail host", schemas.DomainNotFound, schemas.Likely, "unknown"},
		{"mailjet", "relay/access denied", schemas.RelayDenied, schemas.Likely, "passing"},
		{"mailjet", "sender blocked", schemas.SenderAddress, schemas.Likely, "passing"},
		{"mailjet", "content blocked", schemas.SpamContent, schemas.Certain, "passing"},
		{"mailjet", "system issue", schemas.SystemError, schemas.Likely, "passing"},
		{"mailjet", "protocol issue", schemas.ProtocolError, schemas.Likely, "passing"},
		{"mailjet", "duplicate in campaign", schemas.OtherReason, schemas.Certain, "passing"},
		{"mailjet", "a class of next year", schemas.OtherReason, schemas.Unknown, "unknown"},
		{"ses", "general", schemas.OtherReason, schemas.Unknown, "unknown"},
		{"ses", "messagetoolarge", schemas.MessageTooLarge, schemas.Certain, "passing"},
		{"brevo", "hard_bounce", schemas.OtherReason, schemas.Unknown, "unknown"},
		{"mailersend", "hard_bounced", schemas.OtherReason, schemas.Unknown, "unknown"},
		{"postmark", "hardbounce", schemas.OtherReason, schemas.Unknown, "unknown"},
		{"mailjet", "", schemas.OtherReason, schemas.Unknown, "unknown"},
	} {
		t.Run(tt.provider+" "+tt.class, func(t *testing.T) {
			t.Parallel()
			v := c.Classify(Input{Provider: tt.provider, Class: tt.class})
			if v.Reason != tt.reason || v.Cause != schemas.CauseOf(tt.reason) || v.Confidence != tt.confidence || word(v.Permanent) != tt.permanent {
				t.Errorf("got %s, %s, %s, %s", v.Reason, v.Cause, v.Confidence, word(v.Permanent))
			}
		})
	}
}

// What weighs more than what, by one reply each. The replies are made for it.
func TestClassify_TheMoreSpecificEvidenceWins(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct {
		name       string
		in         Input
		reason     schemas.Reason
		confidence schemas.Confidence
		permanent  string
	}{
		{"a wording of the address over generic words", Input{Reply: "550 5.7.1 Mail refused: the mailbox was closed because of inactivity"}, schemas.MailboxInactive, schemas.Certain, "permanent"},
		{"a list over a code of the address", Input{Reply: "550 5.1.1 refused, 192.0.2.1 is listed at zen.spamhaus.org"}, schemas.Blocklist, schemas.Certain, "passing"},
		{"a list over service unavailable", Input{Reply: "554 Service unavailable; Client host [192.0.2.7] blocked using bl.spamcop.net"}, schemas.Blocklist, schemas.Certain, "passing"},
		{"the text over the class", Input{Provider: "mailjet", Class: "user unknown", Reply: "552 5.2.2 over quota"}, schemas.MailboxFull, schemas.Certain, "passing"},
		{"the text over the code", Input{Reply: "550 5.1.1 mailbox is full"}, schemas.MailboxFull, schemas.Certain, "passing"},
		{"the class where the text tells nothing", Input{Provider: "mailjet", Class: "user unknown", Reply: "550 go and see"}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"the sender as the subject", Input{Reply: "550 5.1.8 <shop@example.org>: Sender address rejected: Domain not found"}, schemas.SenderAddress, schemas.Certain, "passing"},
		{"the sender as the subject of an unknown user", Input{Reply: "550 sender verification failed: no such user"}, schemas.SenderAddress, schemas.Certain, "passing"},
		{"the quota of the sender", Input{Reply: "550 sender quota exceeded"}, schemas.RateLimited, schemas.Certain, "passing"},
		{"the verdict behind address rejected", Input{Reply: "554 5.7.1 <ana@example.com>: Recipient address rejected: Not-in-recipient-list"}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"the other verdict behind it", Input{Reply: "550 5.7.1 <ana@example.com>: Recipient address rejected: account_inactive"}, schemas.MailboxInactive, schemas.Certain, "permanent"},
		{"words run together", Input{Reply: "550 5.1.1 RESOLVER.ADR.RecipientNotFound"}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"a not takes it back", Input{Reply: "550 this is not spam but we have no room"}, schemas.OtherReason, schemas.Unknown, "unknown"},
		{"a mailbox that may be blocked or unknown", Input{Reply: "550 Requested action not taken: mailbox unavailable"}, schemas.InvalidRecipient, schemas.Likely, "unknown"},
		{"the same where the code agrees", Input{Reply: "550 5.1.1 mailbox unavailable"}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"a suspended account may come back", Input{Reply: "550 account suspended"}, schemas.MailboxInactive, schemas.Likely, "unknown"},
		{"a code alone", Input{Reply: "550 5.1.1"}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"a code and words nobody knows", Input{Reply: "550 5.1.1 xyzzy"}, schemas.InvalidRecipient, schemas.Likely, "unknown"},
		{"words nobody knows", Input{Reply: "550 xyzzy"}, schemas.OtherReason, schemas.Unknown, "unknown"},
		{"later against never", Input{Reply: "450 5.1.1 no such user"}, schemas.InvalidRecipient, schemas.Certain, "passing"},
		{"a soft one", Input{Reply: "550 5.1.1 no such user", Soft: true}, schemas.InvalidRecipient, schemas.Certain, "passing"},
		{"a preface and the reply in it", Input{Reply: "smtp; 5.1.0 - Unknown address error 550-'5.2.2 <ana@example.com>... Mailbox full' (delivery attempts: 0)"}, schemas.MailboxFull, schemas.Certain, "passing"},
		{"a line break of quoted-printable", Input{Reply: "550 5.1.1 user unkno=\r\nwn"}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"lines of one reply", Input{Reply: "550-5.1.1 The email account that you\r\n550-5.1.1 tried to reach does not\r\n550 5.1.1 exist."}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"curly quotes and accents", Input{Reply: "550 L\u2019utilisateur n\u2019existe pas"}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"the name of a host is no reason", Input{Reply: "550 see http://spam.blocked.example.com/virus"}, schemas.OtherReason, schemas.Unknown, "unknown"},
		{"the name of a person is no reason", Input{Reply: "550 <spam.virus@example.com>: user unknown"}, schemas.InvalidRecipient, schemas.Certain, "permanent"},
		{"a list of the provider is no server's word", Input{Provider: "brevo", Class: "blocked complained", Reply: "marked as spam"}, schemas.SuppressedComplaint, schemas.Certain, "permanent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := c.Classify(tt.in)
			if v.Reason != tt.reason || v.Confidence != tt.confidence || word(v.Permanent) != tt.permanent {
				_, e := c.Explain(tt.in)
				t.Errorf("got %s, %s, %s; %v", v.Reason, v.Confidence, word(v.Permanent), e)
			}
		})
	}
}

func TestClassify_NamesTheList(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct{ reply, slug, subject, url string }{
		{"554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org", "spamhaus-zen", "192.0.2.7", "https://check.spamhaus.org/results/?query=192.0.2.7"},
		{"host mx.example.net[203.0.113.9] said: 550 5.7.1 2001:db8::7 listed by bl.spamcop.net", "spamcop", "2001:db8::7", "https://www.spamcop.net/w3m?action=checkblock&ip=2001:db8::7"},
		{"550 5.7.1 example.org is listed at dbl.spamhaus.org", "spamhaus-dbl", "example.org", "https://check.spamhaus.org/results/?query=example.org"},
		{"550 5.7.1 messages weren't sent, your network is on our block list (S3150)", "microsoft-s3150", "", "https://sendersupport.olc.protection.outlook.com/pm/"},
		{"554 blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.7", "proofpoint-pdr", "192.0.2.7", "https://ipcheck.proofpoint.com/?ip=192.0.2.7"},
		{"421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to user complaints", "yahoo-tss04", "192.0.2.7", "https://senders.yahooinc.com/contact"},
		{"554 blocked using spamhaus, no address given", "spamhaus-zen", "", "https://check.spamhaus.org/results/"},
		{"550 5.1.1 user unknown", "", "", ""},
	} {
		v := c.Classify(Input{Reply: tt.reply})
		if v.Listing.Slug != tt.slug || v.Listing.Subject != tt.subject || v.Listing.URL() != tt.url {
			t.Errorf("%q: got %q, %q, %q", tt.reply, v.Listing.Slug, v.Listing.Subject, v.Listing.URL())
		}
		if tt.slug != "" && (word(v.Permanent) != "passing" || v.Cause != schemas.CauseSender) {
			t.Errorf("%q: %s, %s", tt.reply, v.Cause, word(v.Permanent))
		}
	}
}

func TestExplain_AnswersAsClassifyDoes(t *testing.T) {
	t.Parallel()
	c := load(t)
	in := Input{Provider: "mailjet", Class: "policy issue", Reply: "550 5.1.1 <ana@example.com>: Recipient address rejected: User unknown"}
	v, evidence := c.Explain(in)
	if v != c.Classify(in) {
		t.Errorf("got %+v", v)
	}
	if len(evidence) < 3 || evidence[0].From != "text" || evidence[0].Reason != schemas.InvalidRecipient {
		t.Errorf("evidence %+v", evidence)
	}
}

func TestNew_RefusesAFaultyFile(t *testing.T) {
	t.Parallel()
	const codes, wordings, lists = "version: x", "stop: [the]", "[]"
	for _, tt := range []struct{ name, codes, wordings, lists string }{
		{"no version", `codes: {550: other}`, wordings, lists},
		{"no such reason", "version: x\ncodes: {550: bad_luck fair}", wordings, lists},
		{"no such level", "version: x\ncodes: {550: policy very}", wordings, lists},
		{"no level", "version: x\ncodes: {550: policy}", wordings, lists},
		{"dead without a fact", "version: x\ncodes: {550: policy weak dead}", wordings, lists},
		{"no such key", "version: x\ncodez: {}", wordings, lists},
		{"no enhanced code", "version: x\nenhanced: {\"5.1\": other}", wordings, lists},
		{"no range", "version: x\nenhanced: {\"5.1.5-2\": other}", wordings, lists},
		{"two ranges for one code", "version: x\nenhanced: {\"5.7.3-9\": policy weak, \"x.7.9-12\": reputation weak}", wordings, lists},
		{"a wording of no reason", codes, "wordings: {bad_luck: {firm: {x: luck}}}", lists},
		{"a wording of no level", codes, "wordings: {policy: {very: {x: luck}}}", lists},
		{"a wording of no code", codes, "wordings: {policy: {firm 5.1: {x: luck}}}", lists},
		{"a wording of no class", codes, "wordings: {policy: {firm: {x: <nobody> here}}}", lists},
		{"a wording of no words", codes, "stop: [the]\nwordings: {policy: {firm: {x: the}}}", lists},
		{"an open bracket", codes, "wordings: {policy: {firm: {x: (a|b}}}", lists},
		{"a bare bar", codes, "wordings: {policy: {firm: {x: a|b}}}", lists},
		{"two reasons for one wording", codes, "wordings: {policy: {firm: {x: no luck}}, loop: {firm: {x: no luck}}}", lists},
		{"two words in a class", codes, "classes: {x: [two words]}", lists},
		{"a list of what", codes, wordings, "[{slug: x, of: luck, texts: [x]}]"},
		{"a list of no reason", codes, wordings, "[{slug: x, reason: luck, texts: [x]}]"},
		{"a list twice", codes, wordings, "[{slug: x, name: X, texts: [x]}, {slug: x, name: Y, texts: [y]}]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse([]byte(tt.codes), []byte(tt.wordings), []byte(tt.lists)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestNew_RefusesWrongClasses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"in capitals": "Bad: other", "of no reason": "bad: luck fair", "of no level": "bad: policy", "no table": "[bad]", "twice": "bad: other\nbad: other",
	} {
		if _, err := New(map[string]string{"mailjet": text}); err == nil || !strings.Contains(err.Error(), "classes of mailjet") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNew_TakesRangesBesideEachOther(t *testing.T) {
	t.Parallel()
	const text = "version: x\nenhanced: {\"5.7.3-9\": policy weak, \"4.7.3-9\": policy weak, \"x.6.3-9\": policy weak, \"5.7.10-12\": policy weak}"
	if _, err := parse([]byte(text), []byte("stop: [the]"), []byte("[]")); err != nil {
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
		{"5.1.0 - Unknown address error 550-'5.2.2 over quota' (delivery attempts: 0)", 550, "5.2.2"},
		{"550 see https://example.com/5.7.1 (id x5.9.9)", 550, ""},
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
	f.Add("550-'5.1.1 <@> user\u2019s \uff35\uff33\uff25\uff32 unknown=\r\n 用户不存在' ...", "blocked")
	f.Add("//www.a.b/?x=@y user unknown.please 2001:db8::1:: S3150 RL000001", "")
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
		if v.Permanent != nil && *v.Permanent && v.Confidence != schemas.Certain {
			t.Errorf("permanent and %s", v.Confidence)
		}
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

func BenchmarkClassify(b *testing.B) {
	c := load(b)
	for _, bb := range []struct {
		name string
		in   Input
	}{
		{"class", Input{Provider: "mailjet", Class: "user unknown", Reply: "550 5.1.1 <nobody@example.com>: no such user"}},
		{"reply", Input{Provider: "mailjet", Class: "policy issue", Reply: "550-5.7.1 [192.0.2.1 12] Our system has detected that this message is likely unsolicited mail."}},
		{"code", Input{Provider: "mailjet", Reply: "550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown"}},
		{"nothing", Input{Provider: "mailjet", Reply: "554 5.7.1 [HM08] go away, you and all that are with you, for ever and a day, and do not return"}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Classify(bb.in)
			}
		})
	}
}
