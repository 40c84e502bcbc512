package ingress_test

import "testing"

// failure is one thing that goes wrong, and how each provider tells of it.
type failure struct {
	name  string
	reply string // of the remote server
	want  string // type, kind of bounce, reason, and whether the address is done for
	told  words
	// unlike holds what comes out of other words, and why it may.
	unlike map[string]difference
}

// words are what each provider calls a failure, as its teller takes them apart.
type words map[string]string

type difference struct{ verdict, why string }

// Why one failure may come out in two ways. The type and the kind of a bounce are
// the provider's own word; reason and permanence are not.
const (
	itsBlock  = "has a word for a block, which is no bounce"
	itsBounce = "has no word for a block"
	itsSoft   = "calls soft whatever does not end the address"
	itsHard   = "calls hard any 5xx, or what it sends no more to"
	itsRetry  = "tells of a retry only when a server greylists, and of others as of a soft bounce"
	itsDNS    = "means any fault of DNS by it, which may pass"
	oneClass  = "has one class for all dead addresses, and it stands"
	noWords   = "gives neither a reason nor a reply"
)

// silent says why a provider may be missing from a failure.
func silent() map[string]string {
	return map[string]string{
		"mailchimp":      "tells of addresses it took off an audience, with no word of a server",
		"activecampaign": "tells neither of deferrals nor of what was not tried",
		"mailjet":        "does not know who unsubscribed when it refuses",
		"mailersend":     "refuses a suppressed address in the send API",
		"resend":         "has lists of bounces and complaints alone",
		"postmark":       "does not tell of what its send API refuses",
		"postal":         "has one list for all causes, no word for a block, and tells of a missing server as of a delay",
	}
}

// failures are told in the words of every provider that can tell of them.
func failures() []failure {
	return []failure{
		{
			name: "user unknown", want: "bounced hard invalid_recipient permanent",
			reply: "550 5.1.1 <ana@example.com>: user unknown",
			told: words{
				"mailjet": "bounce|true|user unknown", "sendgrid": "bounce|bounce|Invalid Address", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|NoEmail", "sparkpost": "bounce|10", "postmark": "HardBounce|true",
				"mandrill": "hard_bounce|bad_mailbox|10", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|NoEmail",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|badrecipient", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard", "mailchimp": "hard",
			},
		},
		{
			name: "domain not found", want: "bounced hard domain_not_found permanent",
			reply: "550 5.1.2 <ana@example.com>: domain not found",
			told: words{
				"mailjet": "bounce|true|invalid domain", "sendgrid": "bounce|bounce|Unclassified", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|21", "postmark": "HardBounce|true",
				"mandrill": "hard_bounce|invalid_domain|10", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|dnsFail", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard", "mailchimp": "hard",
			},
			unlike: map[string]difference{
				"sparkpost": {"bounced soft domain_not_found passing", itsDNS},
				"mailchimp": {"bounced hard invalid_recipient permanent", oneClass},
			},
		},
		{
			name: "no mail server, as the provider itself found", want: "bounced hard domain_not_found permanent",
			reply: "unable to get mx info",
			told: words{
				"mailjet": "bounce|true|no mail host", "sendgrid": "bounce|blocked|Unclassified", "mailgun": "permanent|generic||498",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|21", "postmark": "DnsError|false",
				"mandrill": "hard_bounce|invalid_domain|21", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|dnsFail", "activecampaign": "hard",
			},
			unlike: map[string]difference{
				"sendgrid":  {"blocked domain_not_found passing", itsBlock},
				"postmark":  {"deferred domain_not_found passing", itsDNS},
				"sparkpost": {"bounced soft domain_not_found passing", itsDNS},
			},
		},
		{
			name: "mailbox inactive", want: "bounced hard mailbox_inactive permanent",
			reply: "550 5.2.1 <ana@example.com>: the account is disabled",
			told: words{
				"mailjet": "bounce|true|mailbox inactive", "sendgrid": "bounce|bounce|Mailbox Unavailable",
				"mailgun": "permanent|bounce|hard", "ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|10",
				"postmark": "HardBounce|true", "mandrill": "hard_bounce|bad_mailbox|10", "brevo": "hard_bounce",
				"resend": "email.bounced|bounce|Permanent|General", "mailersend": "activity.hard_bounced",
				"mailtrap": "bounce|badrecipient", "postal": "MessageDeliveryFailed", "activecampaign": "hard", "mailchimp": "hard",
			},
			unlike: map[string]difference{
				"mailchimp": {"bounced hard invalid_recipient permanent", oneClass},
			},
		},
		{
			name: "mailbox full, given up", want: "bounced soft mailbox_full passing",
			reply: "552 5.2.2 <ana@example.com>: mailbox is full",
			told: words{
				"mailjet": "bounce|false|quota exceeded", "sendgrid": "bounce|bounce|Mailbox Unavailable",
				"mailgun": "permanent|bounce|soft", "ses": "Bounce|bounce|Transient|MailboxFull", "sparkpost": "bounce|22",
				"postmark": "SoftBounce|false", "mandrill": "soft_bounce|mailbox_full|22", "brevo": "soft_bounce",
				"resend": "email.bounced|bounce|Transient|MailboxFull", "mailersend": "activity.soft_bounced",
				"mailtrap": "bounce|overquota", "postal": "MessageDeliveryFailed", "activecampaign": "soft",
			},
			unlike: map[string]difference{
				"sendgrid": {"bounced hard mailbox_full passing", itsHard},
				"mailtrap": {"bounced hard mailbox_full passing", itsHard},
				"postal":   {"bounced hard mailbox_full passing", itsHard},
			},
		},
		{
			name: "mailbox full, called hard", want: "bounced hard mailbox_full passing",
			reply: "552 5.2.2 <ana@example.com>: mailbox is full",
			told: words{
				"mailjet": "bounce|true|system issue", "sendgrid": "bounce|bounce|Unclassified", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|20", "postmark": "HardBounce|false",
				"mandrill": "hard_bounce|general|20", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|overquota", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard",
			},
			unlike: map[string]difference{
				"sparkpost": {"bounced soft mailbox_full passing", itsSoft},
			},
		},
		{
			name: "mailbox full, tried again", want: "deferred mailbox_full passing",
			reply: "452 4.2.2 <ana@example.com>: mailbox is full",
			told: words{
				"mailjet": "bounce|false|quota exceeded", "sendgrid": "deferred", "mailgun": "temporary|generic",
				"ses": "DeliveryDelay|deliveryDelay|MailboxFull", "sparkpost": "delay|22", "postmark": "Transient|false",
				"mandrill": "deferral", "brevo": "deferred", "resend": "email.delivery_delayed|bounce", "mailersend": "activity.deferred",
				"mailtrap": "soft bounce|overquota", "postal": "MessageDelayed",
			},
			unlike: map[string]difference{
				"mailjet": {"bounced soft mailbox_full passing", itsRetry},
				"resend":  {"deferred other passing", noWords},
			},
		},
		{
			name: "blocklist", want: "bounced hard blocklist passing",
			reply: "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org",
			told: words{
				"mailjet": "bounce|true|sender blocked", "sendgrid": "bounce|bounce|", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|51", "postmark": "HardBounce|false",
				"mandrill": "hard_bounce|general|50", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|block", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard",
			},
			unlike: map[string]difference{
				"sparkpost": {"bounced soft blocklist passing", itsSoft},
				"mailtrap":  {"bounced soft blocklist passing", itsSoft},
			},
		},
		{
			name: "blocklist, called a block", want: "blocked blocklist passing",
			reply: "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org",
			told: words{
				"mailjet": "blocked|false|sender blocked", "sendgrid": "bounce|blocked|Reputation", "mailgun": "permanent|espblock",
				"ses": "Bounce|bounce|Transient|General", "sparkpost": "bounce|50", "postmark": "Blocked|false",
				"mandrill": "soft_bounce|general|50", "brevo": "soft_bounce", "resend": "email.bounced|bounce|Transient|General",
				"mailersend": "activity.soft_bounced", "mailtrap": "bounce|serverpolicy", "activecampaign": "soft",
			},
			unlike: map[string]difference{
				"mailgun":        {"bounced soft blocklist passing", itsBounce},
				"ses":            {"bounced soft blocklist passing", itsBounce},
				"sparkpost":      {"bounced soft blocklist passing", itsBounce},
				"mandrill":       {"bounced soft blocklist passing", itsBounce},
				"brevo":          {"bounced soft blocklist passing", itsBounce},
				"resend":         {"bounced soft blocklist passing", itsBounce},
				"mailersend":     {"bounced soft blocklist passing", itsBounce},
				"mailtrap":       {"bounced soft blocklist passing", itsBounce},
				"activecampaign": {"bounced soft blocklist passing", itsBounce},
			},
		},
		{
			name: "blocklist behind 5.1.1", want: "bounced hard blocklist passing",
			reply: "550 5.1.1 <ana@example.com>: rejected, 192.0.2.1 is listed at zen.spamhaus.org",
			told: words{
				"mailjet": "bounce|true|user unknown", "sendgrid": "bounce|bounce|Invalid Address", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|NoEmail", "sparkpost": "bounce|10", "postmark": "HardBounce|false",
				"mandrill": "hard_bounce|bad_mailbox|10", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|NoEmail",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|badrecipient", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard",
			},
		},
		{
			name: "spam content", want: "bounced hard spam_content passing",
			reply: "554 5.7.1 The message was rejected as spam",
			told: words{
				"mailjet": "bounce|true|policy issue", "sendgrid": "bounce|bounce|", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|51", "postmark": "HardBounce|false",
				"mandrill": "hard_bounce|general|51", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|spam", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard",
			},
			unlike: map[string]difference{
				"sparkpost": {"bounced soft spam_content passing", itsSoft},
				"mailtrap":  {"bounced soft spam_content passing", itsSoft},
			},
		},
		{
			name: "spam content, called so", want: "bounced soft spam_content passing",
			reply: "554 5.7.1 The message was rejected as spam",
			told: words{
				"mailjet": "bounce|false|content blocked", "sendgrid": "bounce|blocked|Content", "mailgun": "permanent|espblock",
				"ses": "Bounce|bounce|Transient|ContentRejected", "sparkpost": "bounce|52", "postmark": "SpamNotification|false",
				"mandrill": "soft_bounce|general|52", "brevo": "soft_bounce", "resend": "email.bounced|bounce|Transient|ContentRejected",
				"mailersend": "activity.soft_bounced", "mailtrap": "bounce|spam_gmail", "postal": "MessageDeliveryFailed|likely spam",
				"activecampaign": "soft",
			},
			unlike: map[string]difference{
				"sendgrid": {"blocked spam_content passing", itsBlock},
				"postmark": {"blocked spam_content passing", itsBlock},
				"postal":   {"blocked spam_content passing", itsBlock},
			},
		},
		{
			name: "DMARC", want: "bounced hard authentication passing",
			reply: "550 5.7.26 Unauthenticated email from example.org is not accepted due to its DMARC policy",
			told: words{
				"mailjet": "bounce|true|policy issue", "sendgrid": "bounce|bounce|Unclassified", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|50", "postmark": "DMARCPolicy|false",
				"mandrill": "hard_bounce|general|50", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|serverpolicy", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard",
			},
			unlike: map[string]difference{
				"sparkpost": {"bounced soft authentication passing", itsSoft},
				"mailtrap":  {"bounced soft authentication passing", itsSoft},
				"postmark":  {"blocked authentication passing", itsBlock},
			},
		},
		{
			name: "rate limited", want: "deferred rate_limited passing",
			reply: "421 4.7.0 Too many messages from 192.0.2.1, try again later",
			told: words{
				"mailjet": "bounce|false|system issue", "sendgrid": "deferred", "mailgun": "temporary|generic",
				"ses": "DeliveryDelay|deliveryDelay|General", "sparkpost": "delay|20", "postmark": "Transient|false",
				"mandrill": "deferral", "brevo": "deferred", "resend": "email.delivery_delayed|bounce", "mailersend": "activity.deferred",
				"mailtrap": "soft bounce|transientfail", "postal": "MessageDelayed",
			},
			unlike: map[string]difference{
				"resend":  {"deferred other passing", noWords},
				"mailjet": {"bounced soft rate_limited passing", itsRetry},
			},
		},
		{
			name: "greylisted", want: "deferred greylisted passing",
			reply: "450 4.7.1 <ana@example.com>: Greylisted, try again in 300 seconds",
			told: words{
				"mailjet": "bounce|false|greylisted", "sendgrid": "deferred", "mailgun": "temporary|greylisted",
				"ses": "DeliveryDelay|deliveryDelay|General", "sparkpost": "delay|20", "postmark": "Transient|false",
				"mandrill": "deferral", "brevo": "deferred", "resend": "email.delivery_delayed|bounce", "mailersend": "activity.deferred",
				"mailtrap": "soft bounce|greylisting", "postal": "MessageDelayed",
			},
			unlike: map[string]difference{
				"resend": {"deferred other passing", noWords},
			},
		},
		{
			name: "no answer", want: "deferred timeout passing",
			reply: "421 4.4.1 connection timed out",
			told: words{
				"mailjet": "bounce|false|connection issue", "sendgrid": "deferred", "mailgun": "temporary|generic",
				"ses": "DeliveryDelay|deliveryDelay|TransientCommunicationFailure", "sparkpost": "delay|24", "postmark": "Transient|false",
				"mandrill": "deferral", "brevo": "deferred", "resend": "email.delivery_delayed|bounce", "mailersend": "activity.deferred",
				"mailtrap": "soft bounce|timeout", "postal": "MessageDelayed",
			},
			unlike: map[string]difference{
				"resend":  {"deferred other passing", noWords},
				"mailjet": {"bounced soft timeout passing", itsRetry},
			},
		},
		{
			name: "no answer for days", want: "bounced soft timeout passing",
			reply: "554 5.4.7 message expired: connection timed out",
			told: words{
				"mailjet": "bounce|false|connection issue", "sendgrid": "bounce|expired", "mailgun": "permanent|old|soft",
				"ses": "Bounce|bounce|Transient|CustomTimeoutExceeded", "sparkpost": "bounce|24", "postmark": "SoftBounce|false",
				"mandrill": "soft_bounce|general|24", "brevo": "soft_bounce", "resend": "email.bounced|bounce|Transient|General",
				"mailersend": "activity.soft_bounced", "mailtrap": "bounce|timeout", "postal": "MessageDeliveryFailed",
				"activecampaign": "soft",
			},
			unlike: map[string]difference{
				"mailtrap": {"bounced hard timeout passing", itsHard},
				"postal":   {"bounced hard timeout passing", itsHard},
			},
		},
		{
			name: "policy, and no word why", want: "bounced hard policy passing",
			reply: "550 5.7.1 rejected",
			told: words{
				"mailjet": "bounce|true|policy issue", "sendgrid": "bounce|bounce|Unclassified", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|50", "postmark": "HardBounce|false",
				"mandrill": "hard_bounce|general|50", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|serverpolicy", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard",
			},
			unlike: map[string]difference{
				"sparkpost": {"bounced soft policy passing", itsSoft},
				"mailtrap":  {"bounced soft policy passing", itsSoft},
			},
		},
		{
			name: "no enhanced code", want: "bounced hard invalid_recipient unknown",
			reply: "550 Requested action not taken: mailbox unavailable",
			told: words{
				"mailjet": "bounce|true|user unknown", "sendgrid": "bounce|bounce|Mailbox Unavailable", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|10", "postmark": "HardBounce|true",
				"mandrill": "hard_bounce|bad_mailbox|10", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|badrecipient", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard", "mailchimp": "hard",
			},
			unlike: map[string]difference{
				"mailchimp": {"bounced hard invalid_recipient permanent", oneClass},
			},
		},
		{
			name: "recipient banned", want: "bounced hard invalid_recipient unknown",
			reply: "550 5.7.505 Access denied, banned recipient",
			told: words{
				"mailjet": "bounce|true|user unknown", "sendgrid": "bounce|bounce|Mailbox Unavailable",
				"mailgun": "permanent|bounce|hard", "ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|10",
				"postmark": "HardBounce|true", "mandrill": "hard_bounce|bad_mailbox|10", "brevo": "hard_bounce",
				"resend": "email.bounced|bounce|Permanent|General", "mailersend": "activity.hard_bounced",
				"mailtrap": "bounce|badrecipient", "postal": "MessageDeliveryFailed", "activecampaign": "hard",
			},
		},
		{
			name: "domain of the sender", want: "bounced hard sender_address passing",
			reply: "550 5.1.8 <shop@example.org>: Sender address rejected: Domain not found",
			told: words{
				"mailjet": "bounce|true|relay/access denied", "sendgrid": "bounce|bounce|Invalid Address",
				"mailgun": "permanent|bounce|hard", "ses": "Bounce|bounce|Permanent|NoEmail", "sparkpost": "bounce|10",
				"postmark": "HardBounce|false", "mandrill": "hard_bounce|bad_mailbox|10", "brevo": "hard_bounce",
				"resend": "email.bounced|bounce|Permanent|NoEmail", "mailersend": "activity.hard_bounced", "mailtrap": "bounce|badsender",
				"postal": "MessageDeliveryFailed", "activecampaign": "hard",
			},
			unlike: map[string]difference{
				"mailtrap": {"bounced soft sender_address passing", itsSoft},
			},
		},
		{
			name: "relay denied", want: "bounced hard relay_denied passing",
			reply: "554 5.7.1 <ana@example.com>: Relay access denied",
			told: words{
				"mailjet": "bounce|true|relay/access denied", "sendgrid": "bounce|bounce|Unclassified", "mailgun": "permanent|bounce|hard",
				"ses": "Bounce|bounce|Permanent|General", "sparkpost": "bounce|54", "postmark": "HardBounce|false",
				"mandrill": "hard_bounce|general|54", "brevo": "hard_bounce", "resend": "email.bounced|bounce|Permanent|General",
				"mailersend": "activity.hard_bounced", "mailtrap": "bounce|relayfail", "postal": "MessageDeliveryFailed",
				"activecampaign": "hard",
			},
			unlike: map[string]difference{
				"sparkpost": {"bounced soft relay_denied passing", itsSoft},
				"mailtrap":  {"bounced soft relay_denied passing", itsSoft},
			},
		},
		{
			name: "too large", want: "bounced soft message_too_large passing",
			reply: "552 5.3.4 Message size exceeds fixed limit",
			told: words{
				"mailjet": "bounce|false|policy issue", "sendgrid": "bounce|bounce|Unclassified", "mailgun": "permanent|bounce|soft",
				"ses": "Bounce|bounce|Transient|MessageTooLarge", "sparkpost": "bounce|23", "postmark": "SoftBounce|false",
				"mandrill": "soft_bounce|general|23", "brevo": "soft_bounce", "resend": "email.bounced|bounce|Transient|MessageTooLarge",
				"mailersend": "activity.soft_bounced", "mailtrap": "bounce|serverpolicy", "postal": "MessageDeliveryFailed",
				"activecampaign": "soft",
			},
			unlike: map[string]difference{
				"sendgrid": {"bounced hard message_too_large passing", itsHard},
				"postal":   {"bounced hard message_too_large passing", itsHard},
			},
		},
		{
			name: "suppressed: bounced", want: "blocked suppressed_bounce permanent",
			told: words{
				"mailjet": "blocked|null|preblocked", "sendgrid": "dropped|Bounced Address", "mailgun": "permanent|suppress-bounce||605",
				"ses":       "Bounce|bounce|Permanent|OnAccountSuppressionList",
				"sparkpost": "bounce|25|554 5.7.1 [internal] recipient address was suppressed due to system policy (Bounce Rule)",
				"postmark":  "ManuallyDeactivated|true", "mandrill": "reject|||hard-bounce",
				"brevo": "blocked|blocked : due to hard bounced user", "resend": "email.suppressed|suppressed|||previous_bounce",
				"mailtrap": "reject||Recipient in suppression list. Reason: hard bounce",
				"postal":   "MessageHeld|ana@example.com is on the suppression list",
			},
		},
		{
			name: "suppressed: complained", want: "blocked suppressed_complaint permanent",
			told: words{
				"mailjet": "blocked|null|spam preblocked", "sendgrid": "dropped|Spam Reporting Address",
				"mailgun": "permanent|suppress-complaint||607", "ses": "Complaint|complaint||OnAccountSuppressionList",
				"sparkpost": "bounce|25|554 5.7.1 [internal] recipient address was suppressed due to customer policy (Spam Complaint)",
				"mandrill":  "reject|||spam", "brevo": "blocked|blocked : due to spam complaint",
				"resend":   "email.suppressed|suppressed|||previous_complaint",
				"mailtrap": "reject||Recipient in suppression list. Reason: spam complaint",
			},
		},
		{
			name: "suppressed: unsubscribed", want: "blocked suppressed_unsubscribe permanent",
			told: words{
				"sendgrid": "dropped|Unsubscribed Address", "mailgun": "permanent|suppress-unsubscribe||606",
				"ses":       "Bounce|bounce|Permanent|UnsubscribedRecipient",
				"sparkpost": "bounce|25|554 5.7.1 [internal] recipient address was suppressed due to customer policy (List Unsubscribe)",
				"mandrill":  "reject|||unsub", "brevo": "blocked|blocked : due to unsubscribed user",
				"mailtrap": "reject||Recipient in suppression list. Reason: unsubscription",
			},
		},
	}
}

func TestProviders_TellOfOneFailureAlike(t *testing.T) {
	t.Parallel()
	n := newNormaliser(t)
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, tl := range tellers() {
				words, ok := f.told[tl.Name()]
				if !ok {
					if silent()[tl.Name()] == "" {
						t.Errorf("%s does not tell of it, and nobody says why", tl.Name())
					}
					continue
				}
				want := f.want
				if d, ok := f.unlike[tl.Name()]; ok {
					if d.verdict == f.want {
						t.Errorf("%s %s, but is like the others", tl.Name(), d.why)
					}
					want = d.verdict
				}
				if got := describe(tl.event(t, n, words, f.reply)); got != want {
					t.Errorf("%s, %q: got %s, want %s", tl.Name(), words, got, want)
				}
			}
		})
	}
}
