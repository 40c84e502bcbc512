package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

type suppressionsData struct {
	Now     time.Time                `json:"now"`
	Totals  twin.List[history.Total] `json:"totals"`
	Reason  string                   `json:"reason,omitempty"`
	Rows    twin.List[entry]         `json:"suppressions"`
	Next    string                   `json:"next_cursor,omitempty"`
	Checked *checked                 `json:"checked,omitempty"`
	Import  *imported                `json:"import,omitempty"`
	Reasons []string                 `json:"-"`
	Later   bool                     `json:"-"` // this is not the first page
}

// entry is an entry of the list as the service shows it.
type entry struct {
	Address  string           `json:"address,omitempty"`
	Hash     string           `json:"recipient_hash,omitempty"` // none in the entries of a check
	Reason   string           `json:"reason"`
	Scope    string           `json:"scope"`
	Since    time.Time        `json:"since"`
	Expires  *time.Time       `json:"expires"`
	Applies  *bool            `json:"applies,omitempty"` // of a check: whether it holds for what was asked; nil of a list
	Evidence history.Evidence `json:"evidence"`
	Note     string           `json:"note,omitempty"`
	// Matched is what stands for the address, such as *@example.com; "" where it is itself.
	Matched string `json:"matched,omitempty"`
}

// checked is what the list says of one address, or of what stands for many.
type checked struct {
	Hash       string           `json:"recipient_hash"`
	Masked     string           `json:"address"` // a pattern is nobody's, and whole
	Suppressed bool             `json:"suppressed"`
	Entries    twin.List[entry] `json:"entries"`
	Steps      []listedStep     `json:"history,omitempty"` // of a pattern
	Pattern    bool             `json:"pattern,omitempty"`
	Address    string           `json:"-"` // for the forms of an operator
}

// listedStep is an add or a lift, as the service shows it.
type listedStep struct {
	At      time.Time  `json:"at"`
	Action  string     `json:"action"`
	Active  bool       `json:"active"`
	Reason  string     `json:"reason"`
	Scope   string     `json:"scope"`
	Expires *time.Time `json:"expires,omitempty"`
	Note    string     `json:"note,omitempty"`
	Matched string     `json:"matched,omitempty"`
}

// Lifts are the forms that lift what the entries say: one of the address itself and one of
// each pattern.
func (c checked) Lifts() (lifts []lift) {
	for _, e := range c.Entries {
		name := cmp.Or(e.Matched, c.Address)
		i := slices.IndexFunc(lifts, func(l lift) bool { return l.Address == name })
		if i < 0 {
			i, lifts = len(lifts), append(lifts, lift{Address: name, Many: isPattern(name)})
		}
		lifts[i].Only = append(lifts[i].Only, only{e.Reason, e.Scope})
	}
	return lifts
}

// lift is a form that lifts entries of an address or pattern.
type lift struct {
	Address string
	Many    bool
	Only    []only // what it has: it may be lifted alone
}

// only names an entry of an address.
type only struct{ Reason, Scope string }

// Value is the entry as a form sends it.
func (o only) Value() string { return o.Reason + " " + o.Scope }

// Consents says whether a complaint is among the entries, which wants a word of the person.
func (l lift) Consents() bool {
	return !l.Many || slices.ContainsFunc(l.Only, func(o only) bool { return o.Reason == "complaint" })
}

// isPattern says whether an address of the list stands for many.
func isPattern(address string) bool {
	return strings.HasPrefix(address, "*@") || strings.HasPrefix(address, schemas.MailboxProviderPrefix)
}

// Pattern says whether the entry stands for many addresses.
func (e entry) Pattern() bool { return isPattern(e.Address) }

// imported is what became of a file.
type imported struct {
	Accepted     int                    `json:"accepted"`
	Changed      int                    `json:"changed"` // of those, that were not on the list as the line says
	Refused      twin.List[refusedLine] `json:"refused"` // the first 1,000
	RefusedTotal int                    `json:"refused_total"`
	DryRun       bool                   `json:"dry_run"`
}

// refusedLine is a line of a file that was not taken, and why.
type refusedLine struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// Nothing says that no line of a file that should be imported could be.
func (d imported) Nothing() bool { return !d.DryRun && d.Accepted == 0 }

// reasonNames are those of the list.
func reasonNames() []string {
	return []string{"hard_bounce", "soft_bounce", "complaint", "unsubscribe", "provider_suppressed", "manual"}
}

func (s *Site) suppressions(v *visit) (view, error) {
	q, err := v.only("reason", "cursor", "done")
	if err != nil {
		return view{}, err
	}
	d, err := s.listed(v, q)
	return view{name: "suppressions", title: "Suppressions", data: d}, err
}

// entriesShown bounds the entries of one page of the list.
const entriesShown = 50

// listed loads the page of the list that q asks for.
func (s *Site) listed(v *visit, q url.Values) (suppressionsData, error) {
	d := suppressionsData{Now: s.Now().UTC(), Reason: q.Get("reason"), Later: q.Get("cursor") != "", Reasons: reasonNames()}
	if q.Has("reason") && !slices.Contains(d.Reasons, d.Reason) {
		return d, badInput("There is no such reason.", "Choose one of "+strings.Join(d.Reasons, ", ")+".")
	}
	ask := url.Values{"limit": {strconv.Itoa(entriesShown)}}
	if !v.user.May(roleWhole) {
		ask.Set("addresses", "masked") // a whole one would leave an entry in the audit
	}
	for _, name := range []string{"reason", "cursor"} {
		if q.Get(name) != "" {
			ask.Set(name, q.Get(name))
		}
	}
	var answer struct {
		Suppressions []entry `json:"suppressions"`
		Next         string  `json:"next_cursor"`
	}
	var listErr, totalsErr error
	parts := parallel{}
	parts.add(func(ctx context.Context) { listErr = s.Suppression.Get(ctx, "/v1/suppressions?"+ask.Encode(), &answer) })
	parts.add(func(ctx context.Context) { d.Totals, totalsErr = s.History.Totals(ctx) })
	parts.run(v.Context())
	if refused, ok := errors.AsType[*peer.Refused](listErr); ok && refused.Status == http.StatusBadRequest && ask.Has("cursor") {
		return d, badInput("There is no such page of the list.", "Begin with the first one.")
	}
	s.notice(v, partSuppression, listErr)
	s.notice(v, partClickHouse, totalsErr)
	d.Rows, d.Next = append(d.Rows, answer.Suppressions...), answer.Next
	s.veil(v, d.Rows)
	return d, nil
}

// veil masks the addresses of entries for those who may not see them.
func (s *Site) veil(v *visit, rows []entry) {
	if v.user.May(roleWhole) {
		return
	}
	for i := range rows {
		if rows[i].Note = Redact(rows[i].Note); !rows[i].Pattern() {
			rows[i].Address = maskedOr(rows[i].Address)
		}
	}
}

// subject is whom a form is about.
type subject struct {
	address, hash string
	many          bool // it is a pattern
}

// subject reads the field address, which must be an address or a pattern.
func (s *Site) subject(v *visit) (who subject, err error) {
	who.address = strings.TrimSpace(v.PostForm.Get("address"))
	if s.Pattern != nil {
		canonical, hash, many, err := s.Pattern(who.address)
		if err != nil {
			return who, badInput("This stands for no addresses: "+err.Error()+".", "All of a domain are *@example.com, what is below it *@*.example.com, a mailbox provider mailbox_provider:google; nothing was changed.").of("address")
		}
		if many {
			return subject{canonical, hash, true}, nil
		}
	}
	if who.hash, err = s.Hash(who.address); err != nil {
		return who, badInput("This is not an address.", "An address looks like ana@example.com, all of a domain like *@example.com; nothing was changed.").of("address")
	}
	return who, nil
}

// checkAddress says why an address is on the list, or that it is not.
func (s *Site) checkAddress(v *visit) (view, error) {
	who, err := s.subject(v)
	if err != nil {
		return view{}, err
	}
	look := s.looked
	if who.many {
		look = s.lookedAtPattern
	}
	found, err := look(v, who)
	if err != nil {
		return view{}, err
	}
	d, err := s.listed(v, url.Values{})
	if err != nil {
		return view{}, err
	}
	d.Checked = found
	s.veil(v, found.Entries)
	return view{name: "suppressions", title: "Suppressions", data: d}, nil
}

// looked asks about an address.
func (s *Site) looked(v *visit, who subject) (*checked, error) {
	var answer struct {
		Suppressed []struct {
			entry
			Entries []entry `json:"entries"`
		} `json:"suppressed"`
	}
	body := map[string]any{"addresses": []string{who.address}, "explain": true}
	if err := s.Suppression.Ask(v.Context(), "/v1/suppressions/check", body, &answer); err != nil {
		return nil, err
	}
	c := &checked{Hash: who.hash, Masked: masked(who.address), Suppressed: len(answer.Suppressed) > 0, Address: who.address}
	for _, one := range answer.Suppressed {
		c.Entries = append(c.Entries, one.Entries...)
		if len(one.Entries) == 0 {
			c.Entries = append(c.Entries, one.entry)
		}
	}
	return c, nil
}

// lookedAtPattern asks for the history of a pattern and of wider ones: a check is of
// addresses. What holds is what was added last and is active.
func (s *Site) lookedAtPattern(v *visit, who subject) (*checked, error) {
	var answer struct {
		Steps []listedStep `json:"steps"`
	}
	if err := s.Suppression.Get(v.Context(), "/v1/suppressions/history?address="+url.QueryEscape(who.address), &answer); err != nil {
		return nil, err
	}
	c := &checked{Hash: who.hash, Masked: who.address, Steps: answer.Steps, Pattern: true, Address: who.address}
	for i := range c.Steps {
		one := &c.Steps[i]
		if one.Active {
			c.Entries = append(c.Entries, entry{Reason: one.Reason, Scope: one.Scope, Since: one.At, Expires: one.Expires, Note: one.Note, Matched: one.Matched})
		}
		if !v.user.May(roleWhole) {
			one.Note = Redact(one.Note)
		}
	}
	slices.Reverse(c.Steps) // the latest first
	c.Suppressed = len(c.Entries) > 0
	return c, nil
}

func (s *Site) addSuppression(v *visit) (view, error) {
	who, err := s.subject(v)
	if err != nil {
		return view{}, err
	}
	note, err := v.text("note")
	if err != nil {
		return view{}, err
	}
	body := map[string]any{"address": who.address, "reason": "manual", "note": signed(note, v)}
	for _, name := range []string{"scope", "expires"} { // left out: all mail, for ever
		if text := strings.TrimSpace(v.PostForm.Get(name)); text != "" {
			body[name] = text
		}
	}
	err = s.Suppression.Send(v.Context(), http.MethodPut, "/v1/suppressions", body, nil)
	return view{goTo: "/suppressions?done=added"}, err
}

// signed says in a note who wrote it.
func signed(note string, v *visit) string {
	return strings.TrimSpace(note + " (" + v.user.Name + ")")
}

func (s *Site) liftSuppression(v *visit) (view, error) {
	who, err := s.subject(v)
	if err != nil {
		return view{}, err
	}
	note, err := v.text("note")
	if err != nil {
		return view{}, err
	}
	if strings.TrimSpace(note) == "" {
		return view{}, badInput("A lift needs a note: why may this address be mailed again?", "Write why; nothing was changed.").of("note")
	}
	consent, err := v.choice("consent", "yes")
	if err != nil {
		return view{}, err
	}
	body := map[string]any{"address": who.address, "note": signed(note, v), "consent": consent == "yes"}
	if one := v.PostForm.Get("only"); one != "" { // an entry alone
		reason, scope, ok := strings.Cut(one, " ")
		if !ok || !slices.Contains(reasonNames(), reason) || scope == "" {
			return view{}, badInput(fmt.Sprintf("%.40q names no entry.", one), "Choose one in the form of the entry; nothing was changed.").of("only")
		}
		body["reason"], body["scope"] = reason, scope
	}
	lifted := struct{ Changed int }{Changed: -1}
	err = s.Suppression.Send(v.Context(), http.MethodPost, "/v1/suppressions/remove", body, &lifted)
	if err == nil && lifted.Changed == 0 {
		return view{}, fault{Status: http.StatusNotFound, Title: "Nothing to lift", Detail: "This address is not on the list, so nothing was changed.", Next: "Look at the address above first: it may be spelt otherwise, or was lifted by somebody else."}
	}
	return view{goTo: "/suppressions?done=lifted"}, err
}

// importSuppressions passes a file of addresses on.
func (s *Site) importSuppressions(v *visit) (view, error) {
	dry, err := v.choice("dry_run", "true", "false")
	if err != nil {
		return view{}, err
	}
	file, _, err := v.FormFile("file")
	if err != nil {
		return view{}, badInput("No file was sent.", "Choose a CSV file with a column address.").of("file")
	}
	defer func() { _ = file.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(file, bodyBytesMax))
	if err != nil {
		return view{}, badInput("The file could not be read.", "Send it again.").of("file")
	}
	if !isList(text) {
		return view{}, badInput("This is not a CSV file of addresses: it is not text, or no line has an address.", "Save the table as CSV (UTF-8) with a column address; nothing was changed.").of("file")
	}
	d := imported{DryRun: dry == "true"}
	path := fmt.Sprintf("/v1/suppressions/import?dry_run=%t", d.DryRun)
	err = s.Suppression.Deliver(v.Context(), path, peer.Body{Text: bytes.NewReader(text), File: true, Looks: d.DryRun}, &d)
	if err != nil {
		return view{}, err
	}
	page, err := s.listed(v, url.Values{})
	page.Import = &d
	shown := view{name: "suppressions", title: "Suppressions", data: page}
	if d.Nothing() {
		shown.status = http.StatusUnprocessableEntity
	}
	return shown, err
}

// isList says whether a file may be a list of addresses: text in UTF-8, or in UTF-16 as
// spreadsheets write it, which the service reads, too.
func isList(text []byte) bool {
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		return bytes.ContainsRune(text, '@')
	}
	return utf8.Valid(text) && !bytes.ContainsRune(text, 0) && bytes.ContainsRune(text, '@')
}

// export passes the whole list on, for a spreadsheet: no cell of it is a formula.
func (s *Site) export(v *visit) (view, error) {
	if _, err := v.only(); err != nil {
		return view{}, err
	}
	text, err := s.Suppression.Pass(v.Context(), http.MethodGet, "/v1/suppressions/export?format=csv", peer.Body{File: true})
	if err != nil {
		return view{}, err
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 || !slices.Contains(rows[0], "address") { // such as the page of a proxy
		return view{}, fmt.Errorf("read the list: %w: it is not a CSV file with a column address", peer.ErrAway)
	}
	return view{name: "suppressions", csv: rows}, nil
}
