package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// checkTokenPartitionsMax bounds the positions in a check's token; beyond it
// the answer has none rather than a long one.
const checkTokenPartitionsMax = 16

// checkRequest asks who of Addresses must not get mail of Stream, List and Source. What
// is left out of these means any: then every entry counts.
type checkRequest struct {
	Addresses texts  `json:"addresses"`
	Stream    string `json:"stream"`
	List      string `json:"list"`
	Source    string `json:"source"`
	// MinToken is what a write or a check answered with; the answer is from a state
	// at least as new.
	MinToken string `json:"min_token"`
	// Explain adds every active entry of each suppressed address.
	Explain bool `json:"explain"`
}

// checkAnswer lists the suppressed only, in the order asked.
type checkAnswer struct {
	suppressed []byte // the member "suppressed", which comes first: suppressed objects with commas
	listed     int    // how many they are
	Checked    int    `json:"checked"`
	// Invalid are those that are not one address; they were not checked, and mail to
	// them is not known to be allowed.
	Invalid []invalid `json:"invalid,omitempty"`
	LagMS   int64     `json:"lag_ms"`
	Stale   bool      `json:"stale,omitempty"`
	Token   string    `json:"token,omitempty"`
}

type suppressed struct {
	Address string `json:"address"` // as asked
	entryView
	Entries []explained `json:"entries,omitempty"`
}

type explained struct {
	entryView
	// Applies says whether it forbids the mail that was asked about.
	Applies bool `json:"applies"`
}

type invalid struct {
	Index   int    `json:"index"`
	Address string `json:"address"` // as asked
	Error   string `json:"error"`
}

// entryView is an active entry as answers show it.
type entryView struct {
	Reason   schemas.SuppressionReason `json:"reason"`
	Scope    string                    `json:"scope"`
	Since    time.Time                 `json:"since"`
	Expires  *time.Time                `json:"expires"` // null: never
	Evidence evidence                  `json:"evidence"`
	Note     string                    `json:"note,omitempty"`
	// Matched is what stands for the address, such as *@example.com; absent where the
	// address itself has the entry.
	Matched string `json:"matched,omitempty"`
	// Advice says what has to be done elsewhere too before mail arrives again.
	Advice string `json:"advice,omitempty"`
}

// evidence is the event, or the request, that added an entry last.
type evidence struct {
	EventID   string    `json:"event_id,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	Provider  string    `json:"provider,omitempty"`
	Source    string    `json:"source,omitempty"`
	Time      time.Time `json:"time"`
}

func viewOf(e schemas.SuppressionEntry) entryView {
	v := entryView{
		Reason: e.Reason, Scope: e.Scope, Since: list.Since(e), Note: e.Note,
		Evidence: evidence{Provider: e.Provider, Source: e.Source, Time: e.AddedAt},
	}
	if !e.ExpiresAt.IsZero() {
		v.Expires = &e.ExpiresAt
	}
	if id, ok := requestID(e.Evidence); ok {
		v.Evidence.RequestID = id
	} else {
		v.Evidence.EventID = e.Evidence
	}
	if e.Reason == schemas.SuppressProvider {
		at := cmp.Or(e.Source, e.Provider, "the provider")
		v.Advice = "the suppression list of " + at + " has the address: lift it there too, or mail by it is dropped and the entry comes back"
	}
	return v
}

func (a *API) check(w http.ResponseWriter, r *http.Request, b *Backend) {
	began := time.Now()
	var req checkRequest
	if !httpserver.Body(w, r, &req, checkBytesMax) {
		return
	}
	if fault := req.fault(); fault != "" {
		httpserver.Problem(w, http.StatusBadRequest, "bad request", fault)
		return
	}
	if !a.noteNamed(w, r, func() audit.Entry { return a.lookAt(auditCheck, req.Addresses...) }) {
		return
	}
	if !a.await(w, r, b, req.MinToken) {
		return
	}
	lag := b.Follower.Lag()
	answer, err := a.answer(b, req)
	if err != nil {
		a.opt.Log.Error("check failed", telemetry.Rows(len(req.Addresses)), telemetry.Err(err))
		unreadable(w)
		return
	}
	answer.LagMS, answer.Stale = lag.Milliseconds(), lag > a.opt.StaleAfter
	httpserver.JSONText(w, http.StatusOK, answer.text())
	a.opt.Metrics.checked(answer.Checked, answer.listed, time.Since(began))
}

func (req checkRequest) fault() string {
	switch {
	case req.Addresses == nil:
		return "addresses is missing"
	case len(req.Addresses) > addressesMax:
		return fmt.Sprintf("addresses has %d entries, the limit is %d", len(req.Addresses), addressesMax)
	case len(req.Stream) > nameBytesMax:
		return fmt.Sprintf("stream is longer than %d bytes", nameBytesMax)
	case len(req.Source) > nameBytesMax:
		return fmt.Sprintf("source is longer than %d bytes", nameBytesMax)
	case len(req.MinToken) > tokenBytesMax:
		return fmt.Sprintf("min_token is longer than %d bytes", tokenBytesMax)
	}
	return ""
}

// answer looks up every address. The positions are read first, so that the
// token never claims more than the answer has.
func (a *API) answer(b *Backend, req checkRequest) (checkAnswer, error) {
	now := time.Now()
	query := a.query(req)
	var out checkAnswer
	positions := newPositions(b)
	people := a.people(b, req.Addresses, positions, &out)
	err := a.judge(b.Reader, people, question{query, now, positions.addPatterns(b)}, func(i int, states []schemas.Suppression, entry *entryView) {
		found := suppressed{Address: people[i].asked, entryView: *entry}
		if req.Explain {
			found.Entries = explain(states, query, now)
		}
		out.add(&found)
	})
	if err != nil {
		return checkAnswer{}, err
	}
	out.Token = positions.token(b.Epoch)
	return out, nil
}

// question is which mail is meant, and when it is sent.
type question struct {
	list.Query
	at time.Time
	// matched is called with what stands for each person, lifted or not; nil when the caller does not need it.
	matched func(patterns []schemas.Suppression)
}

// judge calls listed, in the order of people, for each who must not get the mail, with
// what is known of the person and of what stands for it, and the entry that forbids it.
func (a *API) judge(r Reader, people []person, q question, listed func(i int, states []schemas.Suppression, entry *entryView)) error {
	states, err := statesOf(r, people)
	if err != nil {
		return err
	}
	patterns := r.Patterns()
	for i := range states {
		all := states[i : i+1 : i+1]
		if len(patterns) > 0 {
			all = a.withPatterns(all, people[i].canonical, patterns)
			if q.matched != nil {
				q.matched(all[1:])
			}
		}
		if of, entry, ok := list.Strongest(q.Query, q.at, all...); ok {
			view := matchedView(all, of, entry)
			listed(i, all, &view)
		}
	}
	return nil
}

// withPatterns appends what stands for an address, the narrowest first.
func (a *API) withPatterns(states []schemas.Suppression, canonical string, patterns map[string]schemas.Suppression) []schemas.Suppression {
	names := address.Patterns(canonical)
	if name := a.opt.MailboxProvider(address.Domain(canonical)); name != "" {
		names = append(names, schemas.MailboxProviderPrefix+name)
	}
	for _, name := range names {
		if s, ok := patterns[name]; ok {
			states = append(states, s)
		}
	}
	return states
}

// matchedView shows an entry of the of-th of states, the first of which is that of the
// address itself.
func matchedView(states []schemas.Suppression, of int, e schemas.SuppressionEntry) entryView {
	v := viewOf(e)
	if of > 0 {
		v.Matched = states[of].Address
	}
	return v
}

// query is the mail that is asked about.
func (a *API) query(req checkRequest) list.Query {
	return list.Query{Stream: req.Stream, List: req.List, Source: req.Source, Transactional: slices.Contains(a.opt.Transactional, req.Stream)}
}

// people reads the addresses. What is not an address goes to out.
func (a *API) people(b *Backend, addresses []string, positions *positions, out *checkAnswer) []person {
	people := make([]person, 0, len(addresses))
	for i, text := range addresses {
		who, err := a.personOf(text)
		if err != nil {
			out.Invalid = append(out.Invalid, invalid{Index: i, Address: text, Error: err.Error()})
			continue
		}
		people = append(people, who)
		if positions.wanted() {
			positions.add(b.Writer.PartitionOf(who.key))
			if who.hasFormer {
				positions.add(b.Writer.PartitionOf(who.former))
			}
		}
	}
	out.Checked = len(people)
	return people
}

func explain(states []schemas.Suppression, query list.Query, now time.Time) []explained {
	var out []explained
	for of := range states {
		for _, e := range states[of].Entries {
			if list.Active(e, now) {
				out = append(out, explained{entryView: matchedView(states, of, e), Applies: query.Covers(e)})
			}
		}
	}
	return out
}

// positions collects what a check's token has to say.
type positions struct {
	applied map[int32]int64
	seen    []int32
}

func newPositions(b *Backend) *positions { return &positions{applied: b.Follower.Applied()} }

// wanted reports whether another partition could change the token.
func (p *positions) wanted() bool {
	return len(p.seen) <= checkTokenPartitionsMax && len(p.seen) < len(p.applied)
}

func (p *positions) add(partition int32) {
	if !slices.Contains(p.seen, partition) {
		p.seen = append(p.seen, partition)
	}
}

// addPatterns returns what adds the partitions of patterns: the answer is made of these
// records too.
func (p *positions) addPatterns(b *Backend) func([]schemas.Suppression) {
	return func(patterns []schemas.Suppression) {
		for i := range patterns {
			if !p.wanted() {
				return
			}
			if key, err := store.ParseKey(patterns[i].Hash); err == nil { // a store gives each state its hash
				p.add(b.Writer.PartitionOf(key))
			}
		}
	}
}

func (p *positions) token(epoch ledger.Epoch) string {
	if len(p.seen) == 0 || len(p.seen) > checkTokenPartitionsMax {
		return ""
	}
	at := make([]ledger.Position, len(p.seen))
	for i, partition := range p.seen {
		at[i] = ledger.Position{Partition: partition, Offset: p.applied[partition] - 1}
	}
	return epoch.Token(at...)
}

// await waits until this replica has what token names. It writes the answer and
// returns false when it does not in time.
func (a *API) await(w http.ResponseWriter, r *http.Request, b *Backend, token string) bool {
	positions, err := b.Epoch.ParseToken(token)
	if err != nil {
		detail := "min_token is not a token of this API"
		if errors.Is(err, ledger.ErrForeignToken) {
			detail = "min_token is of another deployment, or from before its topic was made anew; drop it"
		}
		httpserver.Problem(w, http.StatusBadRequest, "bad token", detail)
		return false
	}
	if len(positions) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.opt.TokenWait)
	defer cancel()
	for _, p := range positions {
		if err := b.Follower.Wait(ctx, p.Partition, p.Offset); err != nil {
			a.opt.Metrics.notYet.Inc()
			w.Header().Set("Retry-After", retryAfterSeconds)
			httpserver.Problem(w, http.StatusConflict, "not_yet_applied",
				fmt.Sprintf("this replica has not applied the token after %s; repeat the check, or ask without it", a.opt.TokenWait))
			return false
		}
	}
	return true
}
