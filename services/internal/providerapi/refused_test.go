package providerapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/providerapi"
)

// TestChange_WantsLeaveAndARightKey changes nothing without either.
func TestChange_WantsLeaveAndARightKey(t *testing.T) {
	t.Parallel()
	for _, c := range changings() {
		a, there, _, opt := c.start(t)
		entries, _ := providerapi.Wanted(a, ours()["bounce"])
		none := func(int, []providerapi.Refused) { t.Error("something was added") }
		a.Writable = false
		if err := providerapi.Add(t.Context(), a, opt, entries, none); !errors.Is(err, providerapi.ErrReadOnly) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := providerapi.Lift(t.Context(), a, opt, entries[0]); !errors.Is(err, providerapi.ErrReadOnly) {
			t.Errorf("%s: %v", c.name, err)
		}
		a.Writable, a.Key = true, config.Literal("expired")
		err := providerapi.Add(t.Context(), a, opt, entries, none)
		if err == nil || !strings.Contains(err.Error(), "may not change suppressions") || strings.Contains(err.Error(), "example.com") {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(there) > 0 {
			t.Errorf("%s: %v was added", c.name, there)
		}
	}
}

// TestChange_SaysWhatAProviderKeeps names what only its support can lift.
func TestChange_SaysWhatAProviderKeeps(t *testing.T) {
	t.Parallel()
	a := providerapi.Account{Provider: "postmark", Key: config.Literal(rightKey), Writable: true, URL: "http://provider.example"}
	complaint := providerapi.Listed{Address: bob, Kind: providerapi.Complaint, Stream: "outbound"}
	if err := providerapi.Lift(t.Context(), a, providerapi.Options{}, complaint); !errors.Is(err, providerapi.ErrKept) {
		t.Errorf("%v", err)
	}
	if _, why := providerapi.Wanted(providerapi.Account{Provider: "brevo"}, complaint); !strings.Contains(why, "no call") {
		t.Errorf("brevo: %q", why)
	}
}

// TestAdd_OneBadAddressKeepsNoOtherFromBeingAdded has a provider that refuses a whole call.
func TestAdd_OneBadAddressKeepsNoOtherFromBeingAdded(t *testing.T) {
	t.Parallel()
	taken := map[string]bool{}
	a := providerapi.Account{Provider: "resend", Key: config.Literal(rightKey), Writable: true, URL: "http://provider.example"}
	opt := providerapi.Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		var body struct{ Emails []string }
		_ = json.NewDecoder(r.Body).Decode(&body) // of the client
		status := http.StatusOK
		if slices.Contains(body.Emails, "u13@example.com") {
			status = http.StatusUnprocessableEntity
		}
		for _, e := range body.Emails {
			taken[e] = status == http.StatusOK
		}
		return &http.Response{StatusCode: status, Body: http.NoBody, Request: r}, nil
	})}
	var entries []providerapi.Listed
	for i := range 250 {
		entries = append(entries, providerapi.Listed{Address: fmt.Sprintf("u%d@example.com", i)})
	}
	n, refused := 0, []providerapi.Refused{}
	err := providerapi.Add(t.Context(), a, opt, entries, func(part int, some []providerapi.Refused) { n, refused = n+part, append(refused, some...) })
	if err != nil || n != 250 || len(refused) != 1 || refused[0].Address != "u13@example.com" || taken["u13@example.com"] || len(taken) != 250 {
		t.Errorf("%d, refused %v, %d taken, %v", n, refused, len(taken), err)
	}
}

// TestAdd_KeepsToTheLargestCall adds more than a call takes.
func TestAdd_KeepsToTheLargestCall(t *testing.T) {
	t.Parallel()
	for _, c := range changings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, there, _, opt := c.start(t)
			var entries []providerapi.Listed
			for i := range c.most + 1 {
				some, _ := providerapi.Wanted(a, providerapi.Listed{Address: fmt.Sprintf("u%d@example.com", i), Kind: providerapi.Bounce})
				entries = append(entries, some...)
			}
			calls := 0
			err := providerapi.Add(t.Context(), a, opt, entries, func(_ int, refused []providerapi.Refused) {
				if calls++; len(refused) > 0 {
					t.Errorf("%d were refused, such as %+v", len(refused), refused[0])
				}
			})
			left := 0
			for entry := range there {
				if !strings.HasPrefix(entry, "contact ") {
					left++
				}
			}
			if want := (len(entries) + c.most - 1) / c.most; err != nil || left != len(entries) || calls != want {
				t.Errorf("%d of %d are there after %d calls, want %d: %v", left, len(entries), calls, want, err)
			}
		})
	}
}
