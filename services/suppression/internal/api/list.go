package api

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	limitDefault = 100
	limitMax     = 1000

	// scanMax bounds the addresses one page looks at: a rare reason in a long list
	// gives short pages with a cursor, never a slow request.
	scanMax = 50_000

	// cursorBytesMax is more than the longest cursor there is.
	cursorBytesMax = 1024
)

// listAnswer is one page of active entries, by hash, scope and reason. Entries
// that come or go meanwhile may be in it or not; all others are in exactly one
// page.
type listAnswer struct {
	Suppressions []listed `json:"suppressions"`
	// NextCursor is for the next page; absent on the last. A page may be empty and
	// have one.
	NextCursor string `json:"next_cursor,omitempty"`
	LagMS      int64  `json:"lag_ms"`
}

type listed struct {
	Address string `json:"address,omitempty"` // absent once erased
	Hash    string `json:"recipient_hash"`
	entryView
}

// page is a request for one page.
type page struct {
	selection
	start cursor
	limit int
	// masked has addresses and notes show no more than who knows an address recognises.
	masked bool
}

func (a *API) list(w http.ResponseWriter, r *http.Request, b *Backend) {
	values, ok := httpserver.Query(w, r, append([]string{"cursor", "limit", "addresses"}, selected...)...)
	if !ok {
		return
	}
	p, err := parsePage(values)
	if err != nil {
		refuse(w, err.Error())
		return
	}
	answer := listAnswer{Suppressions: []listed{}, LagMS: b.Follower.Lag().Milliseconds()}
	now, scanned := time.Now(), 0
	err = b.Reader.Scan(r.Context(), p.start.key, func(k store.Key, s schemas.Suppression) bool {
		if scanned++; scanned > scanMax {
			answer.NextCursor = cursor{key: k}.String()
			return false
		}
		return p.take(&answer, k, s, now)
	})
	if err != nil {
		if r.Context().Err() == nil {
			a.opt.Log.Error("list failed", telemetry.Err(err))
		}
		unreadable(w)
		return
	}
	if n := len(answer.Suppressions); n > 0 && !p.masked {
		if !a.noteLook(w, r, audit.Entry{Action: auditList, Object: filterOf(values), Note: addresses(n)}) {
			return
		}
	}
	httpserver.JSON(w, http.StatusOK, answer)
}

// take adds the entries of one address that belong to p and returns false when
// the page is full.
func (p page) take(answer *listAnswer, k store.Key, s schemas.Suppression, now time.Time) bool {
	for _, e := range s.Entries {
		here := cursor{key: k, scope: e.Scope, reason: string(e.Reason)}
		if here.before(p.start) || !list.Active(e, now) || !p.has(s.Address, e) {
			continue
		}
		if len(answer.Suppressions) == p.limit {
			answer.NextCursor = here.String()
			return false
		}
		answer.Suppressions = append(answer.Suppressions, p.show(k, s.Address, e))
	}
	return true
}

// isPattern says whether an address of the list stands for many, and so is nobody's.
func isPattern(addr string) bool {
	return address.IsPattern(addr) || strings.HasPrefix(addr, schemas.MailboxProviderPrefix)
}

// show is what p shows of an entry.
func (p page) show(k store.Key, addr string, e schemas.SuppressionEntry) listed {
	out := listed{Address: addr, Hash: k.String(), entryView: viewOf(e)}
	if p.masked && addr != "" && !isPattern(addr) {
		out.Address = address.Mask(addr)
	}
	if p.masked {
		out.Note = address.Redact(out.Note)
	}
	return out
}

func parsePage(values url.Values) (p page, err error) {
	p.limit = limitDefault
	if text := values.Get("limit"); values.Has("limit") {
		if p.limit, err = strconv.Atoi(text); err != nil || p.limit < 1 || p.limit > limitMax {
			return p, fmt.Errorf("limit is not in [1, %d]", limitMax)
		}
	}
	if p.masked = values.Get("addresses") == "masked"; values.Has("addresses") && !p.masked {
		return p, errors.New("addresses is not masked: leave it out to see whole ones")
	}
	if p.selection, err = parseSelection(values); err != nil {
		return p, err
	}
	p.start, err = parseCursor(values.Get("cursor"))
	return p, err
}

// cursor is an entry's place in the order of pages: where the next one starts.
type cursor struct {
	key           store.Key
	scope, reason string
}

// errCursor says that a text is not a cursor.
var errCursor = errors.New("cursor is not one of this API")

// String returns the text that clients hand back; to them it is opaque.
func (c cursor) String() string {
	b := append([]byte(nil), c.key[:]...)
	b = append(append(append(b, c.scope...), 0), c.reason...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	if len(text) > cursorBytesMax {
		return cursor{}, errCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) <= store.KeyBytes {
		return cursor{}, errCursor
	}
	scope, reason, ok := bytes.Cut(b[store.KeyBytes:], []byte{0})
	if !ok {
		return cursor{}, errCursor
	}
	return cursor{key: store.Key(b[:store.KeyBytes]), scope: string(scope), reason: string(reason)}, nil
}

// before reports whether c comes before other, both of one key or c of a later
// one.
func (c cursor) before(other cursor) bool {
	if c.key != other.key {
		return false
	}
	if c.scope != other.scope {
		return c.scope < other.scope
	}
	return c.reason < other.reason
}
