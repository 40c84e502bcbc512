package classify

import (
	"os"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/schemas"
)

// The lines are written from what these servers are known to answer; addresses
// and hosts are examples.
func TestClassify_ReplyLinesOfRealServers(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct {
		server, reply string
		want          schemas.Reason
		permanent     string
	}{
		{"gmail", "550-5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos", schemas.InvalidRecipient, "permanent"},
		{"gmail", "550-5.2.1 The email account that you tried to reach is disabled. For more information, go to https://support.google.com/mail/?p=DisabledUser", schemas.MailboxInactive, "permanent"},
		{"gmail", "550 5.2.1 The email account that you tried to reach is inactive.", schemas.MailboxInactive, "permanent"},
		{"gmail", "452-4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaTemp", schemas.MailboxFull, "passing"},
		{"gmail", "552-5.2.2 The email account that you tried to reach is over quota and inactive.", schemas.MailboxFull, "passing"},
		{"gmail", "450-4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.", schemas.RateLimited, "passing"},
		{"gmail", "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address.", schemas.RateLimited, "passing"},
		{"gmail", "550-5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM.", schemas.Authentication, "passing"},
		{"gmail", "550-5.7.1 [192.0.2.1 12] Our system has detected that this message is likely unsolicited mail.", schemas.SpamContent, "passing"},
		{"gmail", "550-5.7.1 [192.0.2.1] Gmail has detected that this message is likely suspicious due to the very low reputation of the sending IP address.", schemas.Reputation, "passing"},
		{"gmail", "550-5.7.1 [192.0.2.1] The IP you're using to send mail is not authorized to send email directly to our servers.", schemas.Policy, "passing"},
		{"gmail", "421-4.7.0 This message does not pass authentication checks (SPF and DKIM both do not pass).", schemas.Authentication, "passing"},

		{"outlook", "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [AM6EUR05FT004.example]", schemas.InvalidRecipient, "permanent"},
		{"outlook", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).", schemas.Reputation, "passing"},
		{"outlook", "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.", schemas.Reputation, "passing"},
		{"microsoft 365", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient nobody@example.com not found by SMTP address lookup", schemas.InvalidRecipient, "permanent"},
		{"microsoft 365", "550 5.4.1 Recipient address rejected: Access denied. [DB5EUR01FT012.example]", schemas.InvalidRecipient, "permanent"},
		{"microsoft 365", "550 5.7.606 Access denied, banned sending IP [192.0.2.1].", schemas.Reputation, "passing"},
		{"microsoft 365", "550 5.7.509 Access denied, sending domain example.com does not pass DMARC verification and has a DMARC policy of reject.", schemas.Authentication, "passing"},
		{"microsoft 365", "550 5.7.515 Access denied, sending domain example.com doesn't meet the required authentication level.", schemas.Authentication, "passing"},
		{"microsoft 365", "550 5.2.121 RESOLVER.RST.RecipLimit; recipient rate limit exceeded", schemas.RateLimited, "passing"},
		{"microsoft 365", "550 5.4.310 DNS domain example.invalid does not exist [Message=InfoDomainNonexistent]", schemas.DomainNotFound, "permanent"},
		{"microsoft 365", "451 4.7.500 Server busy. Please try again later from [192.0.2.1].", schemas.RateLimited, "passing"},

		{"yahoo", "554 delivery error: dd This user doesn't have a yahoo.com account (nobody@yahoo.com) [0] - mta4001.example", schemas.InvalidRecipient, "permanent"},
		{"yahoo", "554 30 Sorry, your message to a@yahoo.com cannot be delivered. This mailbox is disabled (554.30).", schemas.MailboxInactive, "permanent"},
		{"yahoo", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", schemas.RateLimited, "passing"},
		{"yahoo", "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list", schemas.Reputation, "passing"},
		{"yahoo", "554 5.7.9 Message not accepted for policy reasons.", schemas.Policy, "passing"},

		{"apple", "550 5.1.1 <nobody@icloud.com>: user does not exist", schemas.InvalidRecipient, "permanent"},
		{"apple", "554 5.7.1 [CS01] Message rejected due to local policy.", schemas.Policy, "passing"},
		{"apple", "552 5.2.2 <full@icloud.com>: user is over quota", schemas.MailboxFull, "passing"},

		{"gmx", "550 Requested action not taken: mailbox unavailable", schemas.InvalidRecipient, "permanent"},
		{"gmx", "554 Transaction failed. Reject due to policy restrictions.", schemas.Policy, "passing"},
		{"gmx", "554 Bad DNS PTR resource record.", schemas.Authentication, "passing"},
		{"gmx", "554 IP address is black listed.", schemas.Reputation, "passing"},
		{"t-online", "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.)", schemas.Reputation, "passing"},
		{"t-online", "550 user unknown", schemas.InvalidRecipient, "permanent"},
		{"orange", "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", schemas.InvalidRecipient, "permanent"},
		{"orange", "421 Service refuse. Veuillez essayer plus tard. Service refused, please try later. OFR_999 [999]", schemas.Reputation, "passing"},
		{"orange", "550 5.7.1 Mail rejete. Mail rejected. OFR_506 [506]", schemas.SpamContent, "passing"},
		{"orange", "421 Too many connections, slow down. OFR_004_104", schemas.RateLimited, "passing"},
		{"libero", "550 RCPT TO:<nobody@libero.it> User unknown", schemas.InvalidRecipient, "permanent"},
		{"mail.ru", "550 Message was not accepted -- invalid mailbox. Local mailbox nobody@mail.ru is unavailable: user not found", schemas.InvalidRecipient, "permanent"},
		{"mail.ru", "550 Local mailbox a@mail.ru is unavailable: account is disabled", schemas.MailboxInactive, "permanent"},
		{"mail.ru", "550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id", schemas.SpamContent, "passing"},
		{"yandex", "550 5.7.1 No such user!", schemas.InvalidRecipient, "permanent"},
		{"yandex", "554 5.7.1 Message rejected under suspicion of SPAM", schemas.SpamContent, "passing"},
		{"qq", "550 Mail content denied.", schemas.SpamContent, "passing"},
		{"qq", "550 Mailbox not found.", schemas.InvalidRecipient, "permanent"},
		{"qq", "550 Ip frequency limited", schemas.RateLimited, "passing"},
		{"comcast", "421 4.1.0 192.0.2.1 Throttled - try again later. RL000001", schemas.RateLimited, "passing"},
		{"comcast", "554 192.0.2.1 Comcast block for spam. BL000001", schemas.Reputation, "passing"},
		{"comcast", "550 5.1.1 Not our Customer", schemas.InvalidRecipient, "permanent"},
		{"at&t", "553 5.3.0 flpd575 DNSBL:RBL 521< 192.0.2.1 >_is_blocked. For assistance forward this error", schemas.Reputation, "passing"},
		{"proton", "550 5.1.1 <nobody@proton.me>: Recipient address rejected: Address does not exist", schemas.InvalidRecipient, "permanent"},
		{"mimecast", "550 Rejected by header based Anti-Spoofing policy: a@example.com", schemas.Authentication, "passing"},
		{"mimecast", "550 Administrative prohibition - envelope blocked", schemas.Policy, "passing"},
		{"mimecast", "451 Internal resources are temporarily unavailable", schemas.Greylisted, "passing"},
		{"proofpoint", "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", schemas.Reputation, "passing"},
		{"proofpoint", "550 5.7.1 Message rejected due to content restrictions", schemas.SpamContent, "passing"},
		{"barracuda", "554 Service unavailable; Client host [192.0.2.1] blocked using Barracuda Reputation; http://www.barracudanetworks.com/reputation/?r=1", schemas.Reputation, "passing"},
		{"ironport", "550 #5.1.0 Address rejected.", schemas.OtherReason, "unknown"},

		{"postfix", "450 4.2.0 <a@example.com>: Recipient address rejected: Greylisted, see http://postgrey.example", schemas.Greylisted, "passing"},
		{"postfix", "554 5.7.1 <a@example.com>: Relay access denied", schemas.Policy, "passing"},
		{"postfix", "550 5.1.1 <a@example.com>: Recipient address rejected: User unknown in virtual mailbox table", schemas.InvalidRecipient, "permanent"},
		{"postfix", "450 4.1.2 <a@example.invalid>: Recipient address rejected: Domain not found", schemas.DomainNotFound, "passing"},
		{"postfix", "421 4.4.2 mx.example.com Error: timeout exceeded", schemas.Timeout, "passing"},
		{"exim", "550 Unrouteable address", schemas.InvalidRecipient, "permanent"},
		{"exim", "451 Temporary local problem - please try later", schemas.Timeout, "passing"},
		{"dovecot", "552 5.2.2 <a@example.com> Quota exceeded (mailbox for user is full)", schemas.MailboxFull, "passing"},
		{"a provider", "unable to get mx info: failed to get IPs from PTR record", schemas.DomainNotFound, "unknown"},
		{"a provider", "dial tcp 192.0.2.25:25: connection timed out", schemas.Timeout, "passing"},
		{"code alone", "552", schemas.MailboxFull, "passing"},
		{"code alone", "550 no", schemas.OtherReason, "unknown"},
		{"null mx", "556 5.1.10 Recipient address has a null MX", schemas.DomainNotFound, "permanent"},
	} {
		t.Run(tt.server+" "+tt.reply, func(t *testing.T) {
			t.Parallel()
			v := c.Classify(Input{Provider: "mailjet", Reply: tt.reply})
			if v.Reason != tt.want || word(v.Permanent) != tt.permanent {
				t.Errorf("got %s, %s, want %s, %s", v.Reason, word(v.Permanent), tt.want, tt.permanent)
			}
		})
	}
}

func TestClassify_ReplyLinesOfTheFile(t *testing.T) {
	t.Parallel()
	c := load(t)
	text, err := os.ReadFile("testdata/replies.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		column := strings.SplitN(strings.TrimSuffix(line, "\n"), " | ", 4)
		if len(column) != 4 {
			t.Fatalf("no four columns: %q", line)
		}
		lines++
		v := c.Classify(Input{Reply: strings.ReplaceAll(column[3], `\n`, "\n")})
		if string(v.Reason) != column[1] || word(v.Permanent) != column[2] {
			t.Errorf("%s %q: got %s, %s, want %s, %s", column[0], column[3], v.Reason, word(v.Permanent), column[1], column[2])
		}
	}
	if lines < 400 {
		t.Errorf("%d lines, want all of the file", lines)
	}
}

func TestClassify_AWordThatClearsTheAddressOutdoesADoubtfulOne(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tt := range []struct {
		name      string
		in        Input
		want      schemas.Reason
		permanent string
	}{
		{"a code against a class", Input{Provider: "postmark", Class: "hardbounce", Reply: "550 5.7.1 go away"}, schemas.Policy, "passing"},
		{"no code against a class", Input{Provider: "postmark", Class: "hardbounce", Reply: "550 go away"}, schemas.InvalidRecipient, "permanent"},
		{"a text against a code", Input{Enhanced: "5.1.1", Reply: "550 5.1.1 blocked using zen.spamhaus.org"}, schemas.Reputation, "passing"},
		{"a vague text against a code", Input{Enhanced: "5.1.1", Reply: "550 5.1.1 mail refused"}, schemas.InvalidRecipient, "permanent"},
		{"the basic code against no enhanced one", Input{Reply: "551 5.7.1 go away"}, schemas.Policy, "passing"},
		{"later against never", Input{Reply: "450 5.1.1 no such user"}, schemas.InvalidRecipient, "passing"},
		{"a code with a new detail against a class", Input{Provider: "brevo", Class: "hard_bounce", Reply: "550 5.7.193 not a member"}, schemas.Policy, "passing"},
		{"a code with a new detail", Input{Reply: "550 5.1.77 no"}, schemas.OtherReason, "unknown"},
		{"a text against a firm class", Input{Provider: "mailjet", Class: "user unknown", Reply: "550 5.1.1 blocked using zen.spamhaus.org"}, schemas.Reputation, "passing"},
		{"of the text", Input{Provider: "ses", Class: "noemail", Reply: "smtp; 550 5.1.1 rejected as spam"}, schemas.SpamContent, "passing"},
		{"a vague text against a firm class", Input{Provider: "mailjet", Class: "user unknown", Reply: "550 5.1.1 mail refused"}, schemas.InvalidRecipient, "permanent"},
		{"a text of the address against a firm class", Input{Provider: "mailjet", Class: "user unknown", Reply: "552 5.2.2 over quota"}, schemas.InvalidRecipient, "permanent"},
		{"a text of the moment against a firm class", Input{Provider: "mailjet", Class: "user unknown", Reply: "450 4.7.1 greylisted"}, schemas.InvalidRecipient, "permanent"},
		{"a list is no server's word", Input{Provider: "brevo", Class: "blocked complained", Reply: "marked as spam"}, schemas.SuppressedComplaint, "permanent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := c.Classify(tt.in)
			if v.Reason != tt.want || word(v.Permanent) != tt.permanent {
				t.Errorf("got %s, %s, want %s, %s", v.Reason, word(v.Permanent), tt.want, tt.permanent)
			}
		})
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                     " ",
		"User <Ana@Example.com> Unknown":       " user unknown",
		"550-5.1.1 is over\r\n550-5.1.1 quota": " is over quota",
		"IP [192.0.2.1] is blocked":            " ip is blocked",
		"ana@example.com...User unknown":       " ...user unknown",
		"(ana@example.com:blocked)":            " (:blocked)",
		"host mx5.example.com said 4ever":      " host mx5.example.com said 4ever",
		"@":                                    " ",
		"a@@b@":                                " ",
	} {
		if got := string(fold(nil, in)); got != want {
			t.Errorf("fold(%q) = %q, want %q", in, got, want)
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
