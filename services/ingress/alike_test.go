package ingress_test

import "testing"

// failure is one thing that goes wrong. How each provider tells of it is in the
// provider's testdata/conformance.yaml, under this name.
type failure struct {
	name  string
	reply string // of the remote server
	want  string // type, kind of bounce, reason, and whether the address is done for
}

// failures are written in the words of every provider that can report them.
func failures() []failure {
	return []failure{
		{"user unknown", "550 5.1.1 <ana@example.com>: user unknown", "bounced hard invalid_recipient permanent"},
		{"domain not found", "550 5.1.2 <ana@example.com>: domain not found", "bounced hard domain_not_found permanent"},
		{"no mail server, as the provider itself found", "unable to get mx info", "bounced hard domain_not_found permanent"},
		{"mailbox inactive", "550 5.2.1 <ana@example.com>: the account is disabled", "bounced hard mailbox_inactive permanent"},
		{"mailbox full, given up", "552 5.2.2 <ana@example.com>: mailbox is full", "bounced soft mailbox_full passing"},
		{"mailbox full, called hard", "552 5.2.2 <ana@example.com>: mailbox is full", "bounced hard mailbox_full passing"},
		{"mailbox full, tried again", "452 4.2.2 <ana@example.com>: mailbox is full", "deferred mailbox_full passing"},
		{"blocklist", "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org", "bounced hard blocklist passing"},
		{"blocklist, called a block", "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org", "blocked blocklist passing"},
		{"blocklist behind 5.1.1", "550 5.1.1 <ana@example.com>: rejected, 192.0.2.1 is listed at zen.spamhaus.org", "bounced hard blocklist passing"},
		{"spam content", "554 5.7.1 The message was rejected as spam", "bounced hard spam_content passing"},
		{"spam content, called so", "554 5.7.1 The message was rejected as spam", "bounced soft spam_content passing"},
		{"DMARC", "550 5.7.26 Unauthenticated email from example.org is not accepted due to its DMARC policy", "bounced hard authentication passing"},
		{"rate limited", "421 4.7.0 Too many messages from 192.0.2.1, try again later", "deferred rate_limited passing"},
		{"greylisted", "450 4.7.1 <ana@example.com>: Greylisted, try again in 300 seconds", "deferred greylisted passing"},
		{"no answer", "421 4.4.1 connection timed out", "deferred timeout passing"},
		{"no answer for days", "554 5.4.7 message expired: connection timed out", "bounced soft timeout passing"},
		{"policy, and no word why", "550 5.7.1 rejected", "bounced hard policy passing"},
		{"no enhanced code", "550 Requested action not taken: mailbox unavailable", "bounced hard invalid_recipient unknown"},
		{"recipient banned", "550 5.7.505 Access denied, banned recipient", "bounced hard invalid_recipient unknown"},
		{"domain of the sender", "550 5.1.8 <shop@example.org>: Sender address rejected: Domain not found", "bounced hard sender_address passing"},
		{"relay denied", "554 5.7.1 <ana@example.com>: Relay access denied", "bounced hard relay_denied passing"},
		{"too large", "552 5.3.4 Message size exceeds fixed limit", "bounced soft message_too_large passing"},
		{"suppressed: bounced", "", "blocked suppressed_bounce permanent"},
		{"suppressed: complained", "", "blocked suppressed_complaint permanent"},
		{"suppressed: unsubscribed", "", "blocked suppressed_unsubscribe permanent"},
	}
}

func TestProviders_TellOfOneFailureAlike(t *testing.T) {
	t.Parallel()
	n := newNormaliser(t)
	for _, fw := range failureWriters(t) {
		t.Run(fw.Name(), func(t *testing.T) {
			t.Parallel()
			for _, f := range failures() {
				words, ok := fw.Words[f.name]
				if !ok {
					if fw.Silent == "" {
						t.Errorf("%s is not written, and its conformance.yaml does not say why", f.name)
					}
					continue
				}
				want := f.want
				if d, ok := fw.Unlike[f.name]; ok {
					if d.Verdict == f.want || d.Why == "" {
						t.Errorf("%s, unlike because it %q, is like the others", f.name, d.Why)
					}
					want = d.Verdict
				}
				if got := describe(fw.event(t, n, words, f.reply)); got != want {
					t.Errorf("%s, %q: got %s, want %s", f.name, words, got, want)
				}
			}
			fw.wantNoOtherNames(t)
		})
	}
}

// wantNoOtherNames finds a misspelt name of a failure.
func (fw failureWriter) wantNoOtherNames(t *testing.T) {
	t.Helper()
	known := map[string]bool{}
	for _, f := range failures() {
		known[f.name] = true
	}
	for name := range fw.Words {
		if !known[name] {
			t.Errorf("%q is no failure that providers are asked for", name)
		}
	}
	for name := range fw.Unlike {
		if _, written := fw.Words[name]; !written {
			t.Errorf("%q is unlike the others and not written", name)
		}
	}
}
