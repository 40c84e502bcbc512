package replay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

// listedMax bounds the entries that a plan and a progress name, some 200 bytes each.
const listedMax = 10_000

// Listed is an entry of the suppression list that rests on a bounce which was not a fault
// of the address, as it is judged today. It is for a person to lift: nothing here does.
type Listed struct {
	Hash    string     `json:"recipient_hash"`
	Address string     `json:"address,omitempty"` // "" in the file of the position, and of who was erased
	Scope   string     `json:"scope"`
	Reason  string     `json:"reason"`
	Since   *time.Time `json:"since,omitempty"`
	Event   string     `json:"event"` // its evidence
	Is      Verdict    `json:"is"`    // of the event, today
}

// Doubts are the entries that were found, as many as have room.
type Doubts struct {
	Listed     []Listed `json:"suppressions,omitempty"`
	MoreListed int64    `json:"more_suppressions,omitempty"` // found beyond those
}

func (d *Doubts) add(found []Listed) {
	room := min(len(found), listedMax-len(d.Listed))
	d.Listed = append(d.Listed, found[:room]...)
	d.MoreListed += int64(len(found) - room)
}

// faultless says that an event, as it is judged today, is no reason to list its
// address: another one than the recipient was at fault, or the address works.
func faultless(e *schemas.Event) bool {
	switch e.Cause {
	case schemas.CauseSender, schemas.CauseContent, schemas.CauseNetwork:
		return true
	default:
		return e.Permanent != nil && !*e.Permanent
	}
}

// listed returns the entries in force that rest on a bounce among pairs which is
// faultless today. Soft bounces list an address although none of them is for good, so
// of these entries only those whose bounce has another reason today.
func (r *Replay) listed(ctx context.Context, pairs []pair) ([]Listed, error) {
	if !r.request.Verdicts {
		return nil, nil
	}
	var hashes []string
	is, before := map[string]Verdict{}, map[string]schemas.Reason{}
	for i := range pairs {
		one := &pairs[i]
		if one.fault == "" && one.was.Type == schemas.Bounced && one.was.RecipientHash != "" && faultless(&one.is) {
			hashes = append(hashes, one.was.RecipientHash)
			is[one.was.ID], before[one.was.ID] = verdictOf(&one.is).shown(), one.was.Reason
		}
	}
	found, err := r.find(ctx, hashes, is)
	return slices.DeleteFunc(found, func(l Listed) bool {
		return l.Reason == string(schemas.SuppressSoftBounce) && before[l.Event] == l.Is.Reason
	}), err
}

// find returns the entries of the hashes that rest on one of the events in is.
func (r *Replay) find(ctx context.Context, hashes []string, is map[string]Verdict) ([]Listed, error) {
	if len(hashes) == 0 {
		return nil, nil
	}
	ids := make([]string, 0, len(is))
	for id := range is {
		ids = append(ids, id)
	}
	var rows []struct {
		Hash     string     `ch:"recipient_hash"`
		Address  string     `ch:"address"`
		Scope    string     `ch:"scope"`
		Reason   string     `ch:"reason"`
		Since    *time.Time `ch:"since"`
		Evidence string     `ch:"evidence"`
	}
	if err := r.deps.Store.Select(ctx, &rows, listedSQL, clickhouse.Arg("hashes", clickhouse.Words(hashes)), clickhouse.Arg("ids", clickhouse.Words(ids))); err != nil {
		return nil, fmt.Errorf("look for entries of the suppression list: %w", err)
	}
	var out []Listed
	for _, row := range rows {
		out = append(out, Listed{row.Hash, row.Address, row.Scope, row.Reason, row.Since, row.Evidence, is[row.Evidence]})
	}
	return out, nil
}

// StillListed returns those of the entries that are in force now, with their addresses.
func (r *Replay) StillListed(ctx context.Context, entries []Listed) ([]Listed, error) {
	var out []Listed
	for some := range slices.Chunk(entries, pageRows) {
		var hashes []string
		is := map[string]Verdict{}
		for _, e := range some {
			hashes = append(hashes, e.Hash)
			is[e.Event] = e.Is
		}
		found, err := r.find(ctx, hashes, is)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// unnamed returns the entries without their addresses.
func unnamed(entries []Listed) []Listed {
	out := slices.Clone(entries)
	for i := range out {
		out[i].Address = ""
	}
	return out
}
