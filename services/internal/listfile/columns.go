package listfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
)

// columns is where a file has what; -1 is nowhere.
type columns struct {
	named                                                    bool // the first line has names
	address, reason, scope, stream, list, expires, note, why int
	origin                                                   int
	reasons                                                  map[string]string
	always                                                   schemas.SuppressionReason // of a file that is one list
	flags                                                    []flag                    // of Mailjet
}

// flag is a column that says whether a contact may be mailed.
type flag struct {
	at     int
	reason schemas.SuppressionReason
}

// flagReasons are the fields of a contact of Mailjet that keep mail from it, by the names
// of its API: its contact and listrecipient. Its own export was not at hand.
var flagReasons = map[string]schemas.SuppressionReason{
	"isunsubscribed": schemas.SuppressUnsubscribe, "isunsub": schemas.SuppressUnsubscribe, "isexcludedfromcampaigns": schemas.SuppressManual,
}

// errMailable says that a file is of the wrong people.
var errMailable = errors.New("the file is a list of contacts who may be mailed, not of those who must not")

// addresses are how files call the address.
var addresses = []string{"address", "email", "email address", "emailaddress", "e-mail", "email_address", "recipient", "contact"}

// reasons are what files call ours.
var reasons = map[string]string{
	"hardbounce": "hard_bounce", "bounce": "hard_bounce", "hard-bounce": "hard_bounce", "bounce rule": "hard_bounce", "hard bounce": "hard_bounce",
	"spamcomplaint": "complaint", "complaint": "complaint", "spam": "complaint", "spam complaint": "complaint", "contactflaggedasspam": "complaint",
	"unsub": "unsubscribe", "unsubscribed": "unsubscribe", "list unsubscribe": "unsubscribe", "unsubscribe link": "unsubscribe",
	"unsubscribedviama": "unsubscribe", "unsubscribedviaemail": "unsubscribe", "unsubscribedviaapi": "unsubscribe",
	"manualsuppression": "manual", "manually added": "manual", "custom": "manual", "adminblocked": "manual", "compliance": "manual",
	"soft-bounce": "soft_bounce",
}

// header finds the columns. Without names a file has an address first and perhaps SES's
// reason behind it.
func header(record []string) (columns, error) {
	if len(record) > columnsMax {
		return columns{}, fmt.Errorf("the file has %d columns, the limit is %d", len(record), columnsMax)
	}
	names := make([]string, len(record))
	for i, name := range record {
		names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	find := func(wanted ...string) int {
		return slices.IndexFunc(names, func(name string) bool { return slices.Contains(wanted, name) })
	}
	c := columns{
		named: true, address: find(addresses...), reason: find("suppressionreason", "source", "reason_code", "event"),
		scope: find("scope"), stream: find("stream"), list: find("list"), expires: find("expires"), note: find("note"),
		why: find("error", "description", "detail", "unsub_reason"), origin: find("origin"), reasons: reasons,
	}
	for i, name := range names {
		if reason, ok := flagReasons[name]; ok {
			c.flags = append(c.flags, flag{i, reason})
		}
	}
	own := find("reason")
	switch {
	case c.address < 0 && strings.ContainsRune(record[0], '@'):
		return columns{address: 0, reason: 1, scope: -1, stream: -1, list: -1, expires: -1, note: -1, why: -1, origin: -1, reasons: reasons}, nil
	case c.address < 0:
		return c, fmt.Errorf("the first line names no column of addresses: want one of %s", strings.Join(addresses, ", "))
	case find("created") >= 0 && own >= 0: // SendGrid: what the server said
		c.why, c.reason, c.always = own, -1, schemas.SuppressHardBounce
	case find("created") >= 0 && find("ip") >= 0: // its spam reports
		c.always = schemas.SuppressComplaint
	case find("created") >= 0 && find("email") >= 0 && len(names) == 2: // its global unsubscribes
		c.always = schemas.SuppressUnsubscribe
	case find("clean_time") >= 0: // Mailchimp
		c.reason, c.always = -1, schemas.SuppressHardBounce
	case find("unsub_time") >= 0:
		c.reason, c.always = -1, schemas.SuppressUnsubscribe
	case find("confirm_time") >= 0 && find("optin_time") >= 0: // its subscribed ones
		return c, errMailable
	case find("created_at") >= 0 && find("error", "code") >= 0: // Mailgun
		c.reason, c.always = -1, schemas.SuppressHardBounce
	case find("created_at") >= 0 && find("tags") >= 0:
		c.reason, c.always = -1, schemas.SuppressUnsubscribe
	case find("created_at") >= 0 && find("address") >= 0 && len(names) == 2:
		c.always = schemas.SuppressComplaint
	case own >= 0:
		c.reason = own
	}
	return c, nil
}

func (c columns) row(record []string) Row {
	at := func(i int) string {
		if i < 0 || i >= len(record) {
			return ""
		}
		return strings.Clone(strings.TrimSpace(record[i]))
	}
	for _, field := range record {
		if len(field) > lineBytesMax || !utf8.ValidString(field) {
			return Row{Fault: fmt.Sprintf("has a field that is not UTF-8 or is longer than %d bytes", lineBytesMax)}
		}
	}
	row := Row{
		Address: at(c.address), Reason: at(c.reason), Scope: at(c.scope), Stream: at(c.stream), List: at(c.list), Expires: at(c.expires), Note: at(c.note),
	}
	if known, ok := c.reasons[strings.ToLower(row.Reason)]; ok {
		row.Reason = known
	}
	if row.Reason == "manual" && strings.EqualFold(at(c.origin), "recipient") { // Postmark
		row.Reason = string(schemas.SuppressUnsubscribe)
	}
	if row.Reason == "" {
		row.Reason = string(c.always)
	}
	if len(c.flags) > 0 {
		c.judge(&row, at)
	}
	if row.Note == "" {
		row.Note = at(c.why)
	}
	if row.Address == "" {
		row.Fault = "has no address"
	}
	return row
}

// judge says by its flags why a contact must not be mailed: an unsubscribe says more than
// that somebody excluded it.
func (c columns) judge(row *Row, at func(int) string) {
	for _, f := range c.flags {
		switch said := strings.ToLower(at(f.at)); said {
		case "true", "1", "yes":
			if row.Reason == "" || f.reason == schemas.SuppressUnsubscribe {
				row.Reason = string(f.reason)
			}
		case "false", "0", "no", "":
		default:
			row.Fault = fmt.Sprintf("column %d is %.64q: want true or false", f.at+1, said)
		}
	}
	if row.Reason == "" && row.Fault == "" {
		row.Fault = "is a contact who may be mailed: neither unsubscribed nor excluded"
	}
}
