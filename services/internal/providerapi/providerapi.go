// Package providerapi reads and changes what providers keep of their own: so far the
// lists of addresses that they do not send to. It is for commands of an operator; no
// service that takes webhooks has its keys.
//
// A provider is one file with its calls, and a line in the table of dialects. Each
// request waits where the provider says so (Retry-After), is repeated after passing
// faults, and goes to the configured host alone, whatever an answer names as the next
// page.
package providerapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Kind is why a provider does not send to an address, in one vocabulary.
type Kind string

// The kinds.
const (
	Bounce      Kind = "bounce"
	Complaint   Kind = "complaint"
	Unsubscribe Kind = "unsubscribe"
	Manual      Kind = "manual" // or the provider's own decision
)

// Listed is one address on a provider's list.
type Listed struct {
	Address string
	Kind    Kind
	// Stream or List is what the entry is about where it is not the whole account.
	Stream, List string
	// Domain is the sending domain whose list it is, of a provider that has one a domain.
	Domain string
	Since  time.Time // zero where the provider does not say
	Detail string    // the provider's words, at most detailBytesMax

	at string // what a lift names: a path, or the id of the entry
}

// Account is how one account at a provider is asked: one element of the section
// `providers`.
type Account struct {
	// Source is the name of the account's source, and of the account here. Required.
	Source string `yaml:"source"`
	// Provider is whose account it is: brevo, mailersend, mailgun, mailjet, mailtrap,
	// mandrill, postmark, resend, sendgrid, ses, sparkpost. Required.
	Provider string `yaml:"provider"`
	// Key is the API key: of mailjet the key and of ses the access key id. It needs the
	// right to read suppressions, and with writable that to change them. Required.
	Key config.Secret `yaml:"key"`
	// Secret is the second half of a key, of mailjet and ses. Default none.
	Secret config.Secret `yaml:"secret"`
	// URL is where the API is, for another region or a stand-in. Default by provider;
	// ses has none without region.
	URL string `yaml:"url"`
	// Region is the region of ses, such as eu-west-1. Default none.
	Region string `yaml:"region"`
	// Domains are the sending domains of mailgun, which keeps a list a domain. Default
	// none.
	Domains []string `yaml:"domains,omitempty"`
	// Streams are the message streams of postmark, which keeps a list a stream. Default
	// none: outbound and broadcast.
	Streams []string `yaml:"streams,omitempty"`
	// AccountID is the number of the account, of mailtrap. Default none.
	AccountID string `yaml:"account_id"`
	// DomainID is the id of the sending domain that entries are added for, of mailersend
	// and mailtrap. Default none: nothing can be added there.
	DomainID string `yaml:"domain_id"`
	// Writable lets commands change the lists of this account: push to them, and lift
	// from them. Default false: they are read alone.
	Writable bool `yaml:"writable"`
}

// Accounts are the section `providers`.
type Accounts []Account

// Find returns the account of a source.
func (a Accounts) Find(source string) (Account, bool) {
	i := slices.IndexFunc(a, func(one Account) bool { return one.Source == source })
	if i < 0 {
		return Account{}, false
	}
	return a[i], true
}

// Sources returns the names of the accounts, in their order. The caller owns the slice.
func (a Accounts) Sources() []string {
	names := make([]string, len(a))
	for i := range a {
		names[i] = a[i].Source
	}
	return names
}

// accountsMax bounds the section, as the sources are.
const accountsMax = 1000

// Validate reports every fault to p.
func (a Accounts) Validate(p *config.Problems) {
	p.Check(len(a) <= accountsMax, "", "has %d accounts, more than %d", len(a), accountsMax)
	for i, account := range a {
		at := p.At(fmt.Sprintf("[%d]", i))
		at.Check(account.Source != "", "source", "is missing")
		at.Check(!slices.ContainsFunc(a[:i], func(other Account) bool { return other.Source == account.Source }), "source", "%q is listed twice", account.Source)
		account.validate(at)
	}
}

func (a Account) validate(p *config.Problems) {
	r, known := dialects()[a.Provider]
	p.Check(known, "provider", "%q is not one of %s", a.Provider, names())
	p.Check(a.Key.IsSet(), "key", "is missing")
	if !known {
		return
	}
	p.Check(a.Secret.IsSet() == r.secret, "secret", "%s", needed(r.secret, a.Provider))
	p.Check((a.Region != "") == r.region, "region", "%s", needed(r.region, a.Provider))
	p.Check((len(a.Domains) > 0) == r.domains, "domains", "%s", needed(r.domains, a.Provider))
	p.Check(len(a.Streams) == 0 || r.streams, "streams", "must be empty: %s has no streams", a.Provider)
	p.Check((a.AccountID != "") == r.account, "account_id", "%s", needed(r.account, a.Provider))
	p.Check(a.DomainID == "" || r.domainID, "domain_id", "%s", needed(false, a.Provider))
	_, err := a.base()
	p.Check(err == nil, "url", "%v", err)
}

func needed(is bool, provider string) string {
	if is {
		return "is missing: " + provider + " needs it"
	}
	return "must be empty: " + provider + " does not use it"
}

// dialect is how the lists of one provider are read and changed, and what an account of
// it needs.
type dialect struct {
	url               string // of the API; %s is the region
	secret, region    bool
	domains, streams  bool
	account, domainID bool
	read              func(context.Context, *client, yield) error
	find              func(context.Context, *client, string, yield) error // nil: all is read
	lift              func(context.Context, *client, Listed) error
	add               func(context.Context, *client, []Listed) ([]Refused, error) // nil: nothing can be added
	addMost           int                                                         // entries of one call of add
	takes             func(Account, Listed) ([]Listed, string)                    // nil: as the account has one list
}

// yield takes one entry; an error ends the reading and is returned from it.
type yield func(Listed) error

// dialects is every provider whose lists can be read.
func dialects() map[string]dialect {
	return map[string]dialect{
		"brevo":      {url: "https://api.brevo.com", read: brevo, lift: brevoLift},
		"mailersend": {url: "https://api.mailersend.com", domainID: true, read: mailersend, lift: mailersendLift, add: mailersendAdd, addMost: 1000, takes: mailersendTakes},
		"mailgun":    {url: "https://api.mailgun.net", domains: true, read: mailgun, find: mailgunFind, lift: mailgunLift, add: mailgunAdd, addMost: 1000, takes: mailgunTakes},
		"mailjet":    {url: "https://api.mailjet.com", secret: true, read: mailjet, find: mailjetFind, lift: mailjetLift, add: mailjetAdd, addMost: 1},
		"mailtrap":   {url: "https://mailtrap.io", account: true, domainID: true, read: mailtrap, find: mailtrapFind, lift: mailtrapLift, add: mailtrapAdd, addMost: 1, takes: mailtrapTakes},
		"mandrill":   {url: "https://mandrillapp.com", read: mandrill, find: mandrillFind, lift: mandrillLift, add: mandrillAdd, addMost: 1},
		"postmark":   {url: "https://api.postmarkapp.com", streams: true, read: postmark, find: postmarkFind, lift: postmarkLift, add: postmarkAdd, addMost: 50, takes: postmarkTakes},
		"resend":     {url: "https://api.resend.com", read: resend, find: resendFind, lift: resendLift, add: resendAdd, addMost: 100},
		"sendgrid":   {url: "https://api.sendgrid.com", read: sendgrid, find: sendgridFind, lift: sendgridLift, add: sendgridAdd, addMost: 1000, takes: sendgridTakes},
		"ses":        {url: "https://email.%s.amazonaws.com", secret: true, region: true, read: ses, find: sesFind, lift: sesLift, add: sesAdd, addMost: 1, takes: sesTakes},
		"sparkpost":  {url: "https://api.sparkpost.com", read: sparkpost, find: sparkpostFind, lift: sparkpostLift, add: sparkpostAdd, addMost: 10_000, takes: sparkpostTakes},
	}
}

func names() []string { return slices.Sorted(maps.Keys(dialects())) }

// Each calls yield with every entry of the lists of an account, in the provider's order.
// An address may come more than once, of several lists. An error of yield ends it.
func Each(ctx context.Context, a Account, opt Options, each func(Listed) error) error {
	d, c, err := dial(a, opt)
	if err != nil {
		return fmt.Errorf("read lists of %q: %w", a.Provider, err)
	}
	if err := d.read(ctx, c, tidied(each)); err != nil {
		return fmt.Errorf("read lists of %s: %w", a.Provider, err)
	}
	return nil
}

// dial returns how the provider of a is asked, and who asks.
func dial(a Account, opt Options) (dialect, *client, error) {
	d, known := dialects()[a.Provider]
	if !known {
		return d, nil, fmt.Errorf("provider %q is not one of %s", a.Provider, names())
	}
	c, err := newClient(a, opt)
	return d, c, err
}

// tidied leaves out entries for a domain or a pattern, and cuts the provider's words.
func tidied(each yield) yield {
	return func(l Listed) error {
		if l.Address == "" {
			return nil
		}
		if len(l.Detail) > detailBytesMax {
			l.Detail = l.Detail[:detailBytesMax]
		}
		return each(l)
	}
}

// detailBytesMax bounds the provider's words of one entry: a server's reply fits.
const detailBytesMax = 200
