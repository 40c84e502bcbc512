package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// Changes knows which addresses have changed: package ledger.
type Changes interface {
	// Between calls yield with the keys of the records in [from, to), by partition.
	Between(ctx context.Context, from, to map[int32]int64, yield func([]store.Key) error) error
}

// exportToken is the header that says from where on the changes of an export are.
const exportToken = "Mailstream-Token"

// changed is all that holds of one address now: it replaces what a copy has of it.
type changed struct {
	Hash    string     `json:"recipient_hash"`
	Entries []exported `json:"entries"` // its lines of a whole export; none: it is not on the list
}

// tokenOf returns the token of positions to read next; "" where no token holds so many.
func tokenOf(epoch ledger.Epoch, applied map[int32]int64) string {
	if len(applied) == 0 || len(applied) > ledger.TokenPartsMax {
		return ""
	}
	at := make([]ledger.Position, 0, len(applied))
	for partition, next := range applied {
		at = append(at, ledger.Position{Partition: partition, Offset: next - 1})
	}
	return epoch.Token(at...)
}

// exportChanges writes a line for each address that has changed since a token, and maybe
// for some that have not.
func (a *API) exportChanges(w http.ResponseWriter, r *http.Request, b *Backend, want selection) {
	positions, err := b.Epoch.ParseToken(want.since)
	switch {
	case errors.Is(err, ledger.ErrForeignToken):
		refuse(w, "since_token is of another deployment, or from before its topic was made anew; take a whole export")
		return
	case err != nil || len(positions) == 0:
		refuse(w, "since_token is not a token of this API")
		return
	case !a.await(w, r, b, want.since):
		return
	}
	from, to := map[int32]int64{}, b.Follower.Applied()
	for _, p := range positions {
		from[p.Partition] = max(from[p.Partition], p.Offset+1)
	}
	if token := tokenOf(b.Epoch, to); token != "" {
		w.Header().Set(exportToken, token)
	}
	out, written, now := json.NewEncoder(w), 0, time.Now()
	deadline := http.NewResponseController(w)
	err = b.Changes.Between(r.Context(), from, to, func(keys []store.Key) error {
		states, err := b.Reader.GetAll(keys)
		if err != nil {
			return errors.Join(errStore, err)
		}
		_ = deadline.SetWriteDeadline(time.Now().Add(exportTime)) // a writer without one does not stall
		for i, k := range keys {
			if written == 0 {
				exportHeaders(w, "application/x-ndjson")
			}
			if err := out.Encode(changedOf(k, states[i], want, now)); err != nil {
				return err
			}
			written++
		}
		return nil
	})
	if err != nil {
		a.exportFailed(w, r, err, written)
		return
	}
	exportHeaders(w, "application/x-ndjson")
	w.Header().Set("Mailstream-Entries", strconv.Itoa(written))
}

func changedOf(k store.Key, s schemas.Suppression, want selection, now time.Time) changed {
	c := changed{Hash: k.String(), Entries: []exported{}}
	for _, e := range s.Entries {
		if list.Active(e, now) && want.has(s.Address, e) {
			c.Entries = append(c.Entries, exportedOf(k, s.Address, e))
		}
	}
	return c
}

// exportFailed answers that there are no changes, or cuts off what was begun.
func (a *API) exportFailed(w http.ResponseWriter, r *http.Request, err error, written int) {
	if r.Context().Err() == nil {
		a.opt.Log.Error("changes could not be read", telemetry.Err(err))
	}
	if written > 0 || r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // a reader must not take what is there for all
	}
	w.Header().Del(exportToken)
	if errors.Is(err, errStore) {
		unreadable(w)
		return
	}
	unavailable(w, "not_readable", "the changes cannot be read from Kafka now; ask once more")
}

// exportHeaders begins an export; more than once changes nothing.
func exportHeaders(w http.ResponseWriter, mediaType string) {
	for name, value := range map[string]string{
		"Content-Type": mediaType, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Trailer": "Mailstream-Entries",
	} {
		w.Header().Set(name, value)
	}
}
