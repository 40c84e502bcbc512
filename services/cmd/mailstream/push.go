package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/providerapi"
)

const (
	// pushMost bounds what one push adds, for it is kept in memory, some 300 bytes an entry.
	pushMost = 1_000_000
	// pushProgress is after how many entries a push says how far it is.
	pushProgress = 1000
)

// pushKinds are the reasons that can be pushed. What a provider said itself is not, and a
// soft bounce passes.
var pushKinds = map[schemas.SuppressionReason]providerapi.Kind{
	schemas.SuppressComplaint: providerapi.Complaint, schemas.SuppressHardBounce: providerapi.Bounce,
	schemas.SuppressManual: providerapi.Manual, schemas.SuppressUnsubscribe: providerapi.Unsubscribe,
}

// pushDefault are the reasons that are pushed where none is named: an unsubscribe here
// lets transactional mail through, and at most providers it does not.
var pushDefault = []string{string(schemas.SuppressComplaint), string(schemas.SuppressHardBounce), string(schemas.SuppressManual)}

// pusher pushes our list to a provider's.
type pusher struct {
	*syncCommand
	reasons []string
	there   map[[16]byte]struct{} // what the provider has, by keyOf
	missing []providerapi.Listed
	sum     pushed
}

// pushed is the sum.
type pushed struct {
	Source   string         `json:"source"`
	Provider string         `json:"provider"`
	Read     int            `json:"read"`          // entries of the provider
	Ours     int            `json:"ours"`          // active entries of ours with one of the reasons
	Both     int            `json:"in_both"`       // entries that the provider has, too; one of ours may be several there
	Missing  int            `json:"missing_there"` // that it has not
	Later    int            `json:"later"`         // of those, more than one push takes
	LeftOut  map[string]int `json:"left_out"`      // entries of ours that cannot be there, by why
	Added    int            `json:"added"`
	Refused  int            `json:"refused"`
	DryRun   bool           `json:"dry_run"`
	First    []string       `json:"first_refused,omitempty"` // errorsShown of them
}

// exportedEntry is a line of our export.
type exportedEntry struct {
	Address, Scope, Expires, Note string
	Reason                        schemas.SuppressionReason
}

func (p *pusher) fault() error {
	for _, reason := range p.reasons {
		if _, ok := pushKinds[schemas.SuppressionReason(reason)]; !ok {
			return usagef("--reason: %q cannot be pushed; give complaint, hard_bounce, manual or unsubscribe", reason)
		}
	}
	if p.apply && !p.account.Writable {
		return fmt.Errorf("%s: %w", p.source, providerapi.ErrReadOnly)
	}
	return nil
}

// run reads theirs and ours, and adds what is missing there. It may be stopped: the next
// one finds what was added in both.
func (p *pusher) run(ctx context.Context) error {
	p.sum = pushed{Source: p.source, Provider: p.account.Provider, LeftOut: map[string]int{}, DryRun: !p.apply}
	p.there = map[[16]byte]struct{}{}
	err := providerapi.Each(ctx, p.account, p.opt, func(l providerapi.Listed) error {
		p.sum.Read++
		p.there[keyOf(l)] = struct{}{}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.progress, "mailstream: %s at %s\n", several(p.sum.Read, "entry", "entries"), p.sum.Provider)
	lines := &lineWriter{each: p.take}
	if _, err := p.copy(ctx, "/v1/suppressions/export?"+url.Values{"format": {"ndjson"}}.Encode(), lines); err != nil {
		return asUsage(err)
	}
	if p.out != nil {
		encoder := json.NewEncoder(p.out)
		for _, l := range p.missing {
			if err := encoder.Encode(map[string]string{"address": l.Address, "kind": string(l.Kind), "stream": l.Stream, "list": l.List, "domain": l.Domain}); err != nil {
				return fmt.Errorf("--out: %w", err)
			}
		}
	}
	if !p.apply {
		return nil
	}
	err = providerapi.Add(ctx, p.account, p.opt, p.missing, p.added)
	if err != nil && p.sum.Added > 0 {
		return fmt.Errorf("%w (%d entries were added before; run it once more)", err, p.sum.Added)
	}
	return err
}

// added counts what became of n entries.
func (p *pusher) added(n int, refused []providerapi.Refused) {
	before := p.sum.Added + p.sum.Refused
	p.sum.Added += n - len(refused)
	p.sum.Refused += len(refused)
	for _, r := range refused {
		if len(p.sum.First) < errorsShown {
			p.sum.First = append(p.sum.First, plainLine(r.Address+": "+r.Why, syncNoteMax))
		}
	}
	if now := before + n; now/pushProgress > before/pushProgress {
		fmt.Fprintf(p.progress, "mailstream: %d of %d at the provider, %d refused\n", now, len(p.missing), p.sum.Refused)
	}
}

// take compares one entry of ours.
func (p *pusher) take(line []byte) error {
	var e exportedEntry
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	if !slices.Contains(p.reasons, string(e.Reason)) {
		return nil
	}
	p.sum.Ours++
	there, why := p.wanted(e)
	if why != "" {
		p.sum.LeftOut[why]++
		return nil
	}
	for _, l := range there {
		switch _, has := p.there[keyOf(l)]; {
		case has:
			p.sum.Both++
			continue
		case len(p.missing) < pushMost:
			p.missing = append(p.missing, l)
		default:
			p.sum.Later++
		}
		p.sum.Missing++
		p.there[keyOf(l)] = struct{}{} // another reason is no other entry there
	}
	return nil
}

// wanted is what an entry of ours would be there.
func (p *pusher) wanted(e exportedEntry) (there []providerapi.Listed, why string) {
	if _, err := address.One(e.Address); err != nil {
		return nil, "it is a pattern, or its address was erased"
	}
	if e.Expires != "" {
		return nil, "the entry ends, and the provider's would not"
	}
	l := providerapi.Listed{Address: e.Address, Kind: pushKinds[e.Reason], Detail: plainLine(e.Note, syncNoteMax)}
	kind, name, _ := strings.Cut(e.Scope, ":")
	switch kind + ":" {
	case schemas.ScopeStreamPrefix:
		l.Stream = name
		for _, theirs := range slices.Sorted(maps.Keys(p.streams)) { // of several the first, in each run
			if p.streams[theirs] == name {
				l.Stream = theirs
				break
			}
		}
	case schemas.ScopeListPrefix:
		l.List = name
	case schemas.ScopeSourcePrefix:
		if name != p.source {
			return nil, "the entry is for another source"
		}
	}
	return providerapi.Wanted(p.account, l)
}

// keyOf is short for one person on one list.
func keyOf(l providerapi.Listed) [16]byte {
	person := strings.ToLower(l.Address)
	if canonical, err := address.Canonical(l.Address); err == nil {
		person = address.Mailbox(canonical)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{person, l.Stream, l.List, l.Domain}, "\x00")))
	return [16]byte(sum[:16])
}

func (p *pusher) print(w io.Writer) error {
	if p.asJSON {
		if err := json.NewEncoder(w).Encode(p.sum); err != nil {
			return err
		}
	} else {
		s := p.sum
		fmt.Fprintf(w, "%s at %s: %s there, %d of ours\n  on both lists         %d\n  missing there         %d\n", s.Source, s.Provider, several(s.Read, "entry", "entries"), s.Ours, s.Both, s.Missing)
		for _, why := range slices.Sorted(maps.Keys(s.LeftOut)) {
			fmt.Fprintf(w, "  left out              %d: %s\n", s.LeftOut[why], why)
		}
		if s.Later > 0 {
			fmt.Fprintf(w, "  for the next push     %d\n", s.Later)
		}
		if p.apply {
			fmt.Fprintf(w, "  added there           %d\n  refused there         %d\n", s.Added, s.Refused)
		} else {
			fmt.Fprintln(w, "nothing was changed: --apply adds there what is missing")
		}
		for _, r := range s.First {
			fmt.Fprintln(w, r)
		}
	}
	if p.sum.Refused > 0 {
		return fmt.Errorf("%s refused %d of %s", p.sum.Provider, p.sum.Refused, several(p.sum.Added+p.sum.Refused, "entry", "entries"))
	}
	return nil
}

// lineWriter calls each with every whole line that is written to it.
type lineWriter struct {
	rest []byte
	each func(line []byte) error
}

// errLongLine says that an answer has a line that no export has.
var errLongLine = errors.New("a line of the export is longer than a record may be")

func (w *lineWriter) Write(text []byte) (int, error) {
	w.rest = append(w.rest, text...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte{'\n'})
		if !whole {
			break
		}
		if err := w.each(line); err != nil {
			return 0, err
		}
		w.rest = rest
	}
	if len(w.rest) > answerBytesMax {
		return 0, errLongLine
	}
	return len(text), nil
}
