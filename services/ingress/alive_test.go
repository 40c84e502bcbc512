package ingress_test

import (
	"testing"

	"github.com/mailstream/mailstream/schemas"
)

// livingReplies are refusals that have nothing to do with the address, in words and
// under codes that look as if they had.
func livingReplies() []string {
	return []string{
		"550 5.1.1 <ana@example.com>: Recipient address rejected: 192.0.2.1 is listed at zen.spamhaus.org",
		"550 5.1.1 user unknown to our reputation service, blocked using bl.spamcop.net",
		"550 5.1.1 Your message was rejected as spam",
		"550 5.1.1 Message contains a virus, mailbox unavailable",
		"550 5.1.1 DMARC check failed, no such user will get it",
		"550 5.1.1 Too many invalid recipients from your host",
		"550 5.1.2 Sender domain does not exist",
		"550 5.1.7 Sender address does not exist",
		"550 5.1.8 <shop@example.org>: Sender address rejected: Domain not found",
		"550 5.1.0 <shop@example.org>: sender rejected, domain does not exist",
		"553 5.1.8 Domain of sender address shop@example.org does not exist",
		"550 5.2.1 The mailbox cannot be written: your IP [192.0.2.1] has been blocked for its reputation",
		"550 5.2.1 This mailbox is disabled for senders without authentication: SPF fail",
		"550 5.4.1 Relay access denied, user unknown here",
		"550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org",
		"550 5.7.1 Mailbox unavailable: the sending IP is on our blocklist",
		"550 5.7.1 <ana@example.com>: Relay access denied",
		"550 5.7.26 Unauthenticated email from example.org is not accepted due to its DMARC policy",
		"550 5.7.25 The IP address has no PTR record, host not found",
		"550 5.7.28 Unusual rate of unsolicited mail, the account does not exist for you",
		"550 5.7.509 Access denied, sending domain does not pass DMARC verification",
		"550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
		"550 5.7.515 Access denied, sending domain does not meet the required authentication level",
		"554 5.7.1 Message cannot be accepted, spam detected: no such user",
		"550 HELO rejected: cannot find your hostname, host not found",
		"550 Blocked by blacklist, invalid recipient",
		"550 Sender verify failed: no such user",
		"553 Sorry, your domain does not exist. Sender rejected",
		"554 Client host rejected: cannot find your hostname, [192.0.2.1]; reverse DNS missing",
		"552 5.2.0 Suspicion of spam, account is disabled for bulk senders",
		"550-5.7.1 Our system has detected that this message is\r\n550-5.7.1 likely unsolicited mail. The recipient\r\n550 5.7.1 does not exist for it",
	}
}

// Whatever a provider calls it, what a server says of sender or message does not
// end an address: neither by permanent nor by a reason that suppresses.
func TestProviders_LetNoLivingAddressDie(t *testing.T) {
	t.Parallel()
	n := newNormaliser(t)
	for _, fw := range failureWriters(t) {
		if len(fw.Hardest) == 0 && fw.NoReply == "" {
			t.Errorf("%s: conformance.yaml has no hardest words", fw.Name())
		}
		for _, words := range fw.Hardest {
			for _, reply := range livingReplies() {
				ev := fw.event(t, n, words, reply)
				if ev.Permanent != nil && *ev.Permanent {
					t.Errorf("%s, %s, %q: %s", fw.Name(), words, reply, describe(ev))
				}
				switch ev.Cause {
				case schemas.CauseSender, schemas.CauseContent:
				default:
					t.Errorf("%s, %s, %q: %s is of %s", fw.Name(), words, reply, ev.Reason, ev.Cause)
				}
			}
		}
	}
}
