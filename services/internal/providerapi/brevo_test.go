package providerapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/providerapi"
)

// brevo is a stand-in of its blocked contacts, which can be read by the page and lifted
// one by one, and not added to. Every fourth call is over its rate.
type brevo struct {
	mu       sync.Mutex
	calls    int
	contacts []string // "address sender"; a DELETE takes all of an address
}

func (b *brevo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Header.Get("Api-Key") != rightKey {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(object{"code": "unauthorized", "message": "Key not found"}) // to ourselves
		return
	}
	if b.calls++; b.calls%4 == 0 {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	escaped, one := strings.CutPrefix(r.URL.EscapedPath(), "/v3/smtp/blockedContacts/")
	who, err := url.PathUnescape(escaped)
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v3/smtp/blockedContacts":
		from, to, ok := paging{"offset", "limit", 100}.span(r, len(b.contacts))
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(object{"count": len(b.contacts), "contacts": each(from, to, func(i int) any { // to ourselves
			address, sender, _ := strings.Cut(b.contacts[i], " ")
			return object{"email": address, "senderEmail": sender, "blockedAt": "2026-03-04T09:15:30.000+02:00", "reason": object{"code": "hardBounce"}}
		})})
	case r.Method != http.MethodDelete || !one:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case err != nil || strings.Contains(escaped, "/"):
		w.WriteHeader(http.StatusBadRequest)
	default:
		before := len(b.contacts)
		b.contacts = slices.DeleteFunc(b.contacts, func(c string) bool { return strings.HasPrefix(c, who+" ") })
		w.WriteHeader(map[bool]int{true: http.StatusNotFound, false: http.StatusNoContent}[len(b.contacts) == before])
	}
}

// TestBrevo_FindsOnEveryPageAndLiftsForAllSenders goes through calls over its rate, too.
func TestBrevo_FindsOnEveryPageAndLiftsForAllSenders(t *testing.T) {
	t.Parallel()
	there := &brevo{}
	for i := range 250 {
		there.contacts = append(there.contacts, fmt.Sprintf("u%d@example.com shop@example.com", i))
	}
	there.contacts = append(there.contacts, bob+" shop@example.com", bob+" news@example.com")
	server := httptest.NewServer(there)
	defer server.Close()
	_, waits, opt := standIns()["brevo"].serve(t) // for its waits
	a := providerapi.Account{Provider: "brevo", Key: config.Literal(rightKey), URL: server.URL}
	found, err := providerapi.Find(t.Context(), a, opt, bob)
	if err != nil || len(found) != 2 {
		t.Fatalf("found %v, %v", found, err)
	}
	if err := providerapi.Lift(t.Context(), a, opt, found[0]); err == nil || len(there.contacts) != 252 {
		t.Errorf("an account that is read alone: %v", err)
	}
	a.Writable = true
	for _, l := range found { // the second is gone with the first, which is no fault
		if err := providerapi.Lift(t.Context(), a, opt, l); err != nil {
			t.Error(err)
		}
	}
	if found, err := providerapi.Find(t.Context(), a, opt, bob); err != nil || len(found) != 0 || len(there.contacts) != 250 {
		t.Errorf("found after the lift %v, %v; %d are there", found, err, len(there.contacts))
	}
	if len(*waits) < 2 || slices.ContainsFunc(*waits, func(d time.Duration) bool { return d != 3*time.Second }) {
		t.Errorf("waited %v", *waits)
	}
	calls := there.calls
	a.Key = config.Literal("an-expired-key")
	err = providerapi.Lift(t.Context(), a, opt, providerapi.Listed{Address: "u1@example.com"})
	if err == nil || !strings.Contains(err.Error(), "may not change suppressions") || strings.Contains(err.Error(), "example.com") || there.calls != calls || len(there.contacts) != 250 {
		t.Errorf("with an expired key: %v", err)
	}
	if _, err := providerapi.Find(t.Context(), a, opt, bob); err == nil || !strings.Contains(err.Error(), "the key is wrong") {
		t.Errorf("with an expired key: %v", err)
	}
}
