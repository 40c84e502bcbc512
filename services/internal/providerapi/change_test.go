package providerapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/providerapi"
)

// ask is a request of a change, as the stand-in of a provider sees it.
type ask struct {
	method string
	parts  []string // of the path, unescaped
	query  url.Values
	body   map[string]any
	items  []map[string]any // of a body that is an array
}

// is says whether the request is method of pattern, whose "*" are returned.
func (a ask) is(method, pattern string) (stars []string, ok bool) {
	want := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	if a.method != method || len(want) != len(a.parts) {
		return nil, false
	}
	for i, w := range want {
		switch {
		case w == "*":
			stars = append(stars, a.parts[i])
		case w != a.parts[i]:
			return nil, false
		}
	}
	return stars, true
}

func (a ask) texts(name string) (out []string) {
	list, _ := a.body[name].([]any)
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// size is how many addresses the request is about.
func (a ask) size() int {
	size := len(a.items)
	for _, v := range a.body {
		list, _ := v.([]any)
		size = max(size, len(list))
	}
	return size
}

// book is what a stand-in has on its lists: entries, each "list address".
type book map[string]bool

func (b book) add(list string, addresses ...string) {
	for _, a := range addresses {
		b[list+" "+a] = true
	}
}

// lift answers 404 for what is not there, as the providers do.
func (b book) lift(list, address string) (any, int) {
	if !b[list+" "+address] {
		return nil, 404
	}
	delete(b, list+" "+address)
	return object{}, 200
}

// changing is how a stand-in answers calls for one address, and changes.
type changing struct {
	name    string
	account providerapi.Account
	serve   func(b book, a ask) (any, int)
	most    int            // addresses that one call takes; more are refused
	wanted  map[string]int // of each of the three entries of ours: how many lists it goes to
	listed  []string       // then
}

// bob is a local part that is only right when it is escaped as one.
const bob = "bo/b+x@example.com"

func changings() []changing {
	writable := func(a providerapi.Account) providerapi.Account {
		a.Writable = true
		return a
	}
	return []changing{
		{
			name: "sendgrid", most: 1000, account: writable(providerapi.Account{Provider: "sendgrid"}),
			serve: func(b book, a ask) (any, int) {
				if _, ok := a.is("POST", "/v3/asm/suppressions/global"); ok {
					b.add("global", a.texts("recipient_emails")...)
					return object{}, 201
				}
				if s, ok := a.is("POST", "/v3/asm/groups/*/suppressions"); ok {
					b.add("group-"+s[0], a.texts("recipient_emails")...)
					return object{}, 201
				}
				if s, ok := a.is("GET", "/v3/suppression/*/*"); ok {
					if b[s[0]+" "+s[1]] {
						return []object{{"created": 1772615730, "email": s[1], "reason": "x"}}, 200
					}
					return []object{}, 200
				}
				if s, ok := a.is("GET", "/v3/asm/suppressions/global/*"); ok {
					if b["global "+s[0]] {
						return object{"recipient_email": s[0]}, 200
					}
					return object{}, 200
				}
				if s, ok := a.is("GET", "/v3/asm/suppressions/*"); ok {
					return object{"suppressions": []object{{"id": 17, "name": "Weekly", "suppressed": b["group-17 "+s[0]]}}}, 200
				}
				if s, ok := a.is("DELETE", "/v3/asm/suppressions/global/*"); ok {
					return b.lift("global", s[0])
				}
				if s, ok := a.is("DELETE", "/v3/asm/groups/*/suppressions/*"); ok {
					return b.lift("group-"+s[0], s[1])
				}
				return nil, 405
			},
			wanted: map[string]int{"bounce": 1, "unsubscribe": 1, "list": 1},
			listed: []string{"global " + bob, "global bob@example.com", "group-17 bob@example.com"},
		},
		{
			name: "mailgun", most: 1000, account: writable(providerapi.Account{Provider: "mailgun", Domains: []string{"a.example", "b.example"}}),
			serve: func(b book, a ask) (any, int) {
				if s, ok := a.is("POST", "/v3/*/*"); ok {
					for _, item := range a.items {
						if s[1] == "unsubscribes" && fmt.Sprint(item["tags"]) != "[*]" {
							return nil, 400
						}
						b.add(s[1]+"@"+s[0], item["address"].(string))
					}
					return object{"message": "1 addresses"}, 200
				}
				if s, ok := a.is("GET", "/v3/*/*/*"); ok {
					if !b[s[1]+"@"+s[0]+" "+s[2]] {
						return nil, 404
					}
					return object{"address": s[2], "created_at": "Wed, 04 Mar 2026 09:15:30 UTC"}, 200
				}
				if s, ok := a.is("DELETE", "/v3/*/*/*"); ok {
					return b.lift(s[1]+"@"+s[0], s[2])
				}
				return nil, 405
			},
			wanted: map[string]int{"bounce": 2, "unsubscribe": 2},
			listed: []string{"bounces@a.example " + bob, "bounces@b.example " + bob, "unsubscribes@a.example bob@example.com", "unsubscribes@b.example bob@example.com"},
		},
		{
			name: "mailjet", most: 1, account: writable(providerapi.Account{Provider: "mailjet", Secret: config.Literal(rightSecret)}),
			serve: func(b book, a ask) (any, int) {
				if _, ok := a.is("POST", "/v3/REST/contact"); ok && a.body["IsExcludedFromCampaigns"] == true {
					b.add("excluded", a.body["Email"].(string))
					b.add("contact", a.body["Email"].(string))
					return object{}, 201
				}
				s, ok := a.is(a.method, "/v3/REST/contact/*")
				switch {
				case !ok:
					return nil, 405
				case !b["contact "+s[0]]:
					return nil, 404
				case a.method == "PUT":
					delete(b, "excluded "+s[0])
					if a.body["IsExcludedFromCampaigns"] == true {
						b.add("excluded", s[0])
					}
				}
				return object{"Data": []object{{"Email": s[0], "IsExcludedFromCampaigns": b["excluded "+s[0]]}}}, 200
			},
			wanted: map[string]int{"bounce": 1, "unsubscribe": 1},
			listed: []string{"contact " + bob, "contact bob@example.com", "excluded " + bob, "excluded bob@example.com"},
		},
		{
			name: "postmark", most: 50, account: writable(providerapi.Account{Provider: "postmark"}),
			serve: func(b book, a ask) (any, int) {
				var addresses []string
				list, _ := a.body["Suppressions"].([]any)
				for _, one := range list {
					addresses = append(addresses, one.(map[string]any)["EmailAddress"].(string))
				}
				if s, ok := a.is("POST", "/message-streams/*/suppressions"); ok {
					b.add(s[0], addresses...)
					done := []object{}
					for _, a := range addresses {
						done = append(done, object{"EmailAddress": a, "Status": "Suppressed"})
					}
					return object{"Suppressions": done}, 200
				}
				if s, ok := a.is("POST", "/message-streams/*/suppressions/delete"); ok {
					_, _ = b.lift(s[0], addresses[0]) // one that is not there is "Deleted", too
					return object{"Suppressions": []object{{"EmailAddress": addresses[0], "Status": "Deleted"}}}, 200
				}
				if s, ok := a.is("GET", "/message-streams/*/suppressions/dump"); ok {
					found := []object{}
					if who := a.query.Get("EmailAddress"); b[s[0]+" "+who] {
						found = append(found, object{"EmailAddress": who, "SuppressionReason": "ManualSuppression", "Origin": "Customer"})
					}
					return object{"Suppressions": found}, 200
				}
				return nil, 405
			},
			wanted: map[string]int{"bounce": 2, "unsubscribe": 1},
			listed: []string{"broadcast " + bob, "broadcast bob@example.com", "outbound " + bob},
		},
		{
			name: "resend", most: 100, account: writable(providerapi.Account{Provider: "resend"}),
			serve: func(b book, a ask) (any, int) {
				if _, ok := a.is("POST", "/suppressions/batch/add"); ok {
					b.add("list", a.texts("emails")...)
					return object{"data": []object{}}, 201
				}
				s, ok := a.is(a.method, "/suppressions/*")
				who := strings.TrimPrefix(strings.Join(s, ""), "id of ")
				switch {
				case !ok:
					return nil, 405
				case a.method == "DELETE":
					return b.lift("list", who)
				case !b["list "+who]:
					return nil, 404
				}
				return object{"object": "suppression", "id": "id of " + who, "email": who, "origin": "manual"}, 200
			},
			wanted: map[string]int{"bounce": 1, "unsubscribe": 1},
			listed: []string{"list " + bob, "list bob@example.com"},
		},
		{
			name: "sparkpost", most: 10_000, account: writable(providerapi.Account{Provider: "sparkpost"}),
			serve: func(b book, a ask) (any, int) {
				if _, ok := a.is("PUT", "/api/v1/suppression-list"); ok {
					for _, one := range a.body["recipients"].([]any) {
						r := one.(map[string]any)
						b.add(r["type"].(string), r["recipient"].(string))
					}
					return object{}, 200
				}
				s, ok := a.is(a.method, "/api/v1/suppression-list/*")
				if !ok {
					return nil, 405
				}
				if a.method == "DELETE" {
					if _, status := b.lift(fmt.Sprint(a.body["type"]), s[0]); status == 404 {
						return nil, 404
					}
					return nil, 204
				}
				found := []object{}
				for _, kind := range []string{"transactional", "non_transactional"} {
					if b[kind+" "+s[0]] {
						found = append(found, object{"recipient": s[0], "type": kind, "source": "Manually Added"})
					}
				}
				if len(found) == 0 {
					return nil, 404
				}
				return object{"results": found}, 200
			},
			wanted: map[string]int{"bounce": 2, "unsubscribe": 1},
			listed: []string{"non_transactional " + bob, "non_transactional bob@example.com", "transactional " + bob},
		},
		{
			name: "mailersend", most: 1000, account: writable(providerapi.Account{Provider: "mailersend", DomainID: "d1"}),
			serve: func(b book, a ask) (any, int) {
				s, ok := a.is(a.method, "/v1/suppressions/*")
				if !ok {
					return nil, 405
				}
				switch a.method {
				case "POST":
					if a.body["domain_id"] != "d1" {
						return nil, 422
					}
					b.add(s[0], a.texts("recipients")...)
					return object{"data": []object{}}, 201
				case "DELETE":
					return b.lift(s[0], strings.TrimPrefix(a.texts("ids")[0], "id of "))
				}
				found := []object{}
				for entry := range b {
					if list, who, _ := strings.Cut(entry, " "); list == s[0] {
						found = append(found, object{"id": "id of " + who, "recipient": object{"email": who}, "created_at": "2026-03-04T09:15:30Z"})
					}
				}
				return object{"data": found, "links": object{"next": nil}}, 200
			},
			wanted: map[string]int{"bounce": 1, "unsubscribe": 1},
			listed: []string{"hard-bounces " + bob, "unsubscribes bob@example.com"},
		},
		{
			name: "mandrill", most: 1, account: writable(providerapi.Account{Provider: "mandrill"}),
			serve: func(b book, a ask) (any, int) {
				who, _ := a.body["email"].(string)
				switch a.parts[len(a.parts)-1] {
				case "add":
					b.add("list", who)
					return object{"email": who, "added": true}, 200
				case "delete":
					delete(b, "list "+who)
					return object{"email": who, "deleted": true}, 200
				}
				found := []object{}
				if b["list "+who] {
					found = append(found, object{"email": who, "reason": "custom"})
				}
				return found, 200
			},
			wanted: map[string]int{"bounce": 1, "unsubscribe": 1},
			listed: []string{"list " + bob, "list bob@example.com"},
		},
		{
			name: "ses", most: 1, account: writable(providerapi.Account{Provider: "ses", Region: "eu-west-1", Secret: config.Literal(rightSecret)}),
			serve: func(b book, a ask) (any, int) {
				if _, ok := a.is("PUT", "/v2/email/suppression/addresses"); ok {
					b.add(a.body["Reason"].(string), a.body["EmailAddress"].(string))
					return object{}, 200
				}
				s, ok := a.is(a.method, "/v2/email/suppression/addresses/*")
				switch {
				case !ok:
					return nil, 405
				case a.method == "DELETE":
					return b.lift("BOUNCE", s[0])
				case !b["BOUNCE "+s[0]]:
					return nil, 404
				}
				return object{"SuppressedDestination": object{"EmailAddress": s[0], "Reason": "BOUNCE", "LastUpdateTime": 1.77e9}}, 200
			},
			wanted: map[string]int{"bounce": 1},
			listed: []string{"BOUNCE " + bob},
		},
		{
			name: "mailtrap", most: 1, account: writable(providerapi.Account{Provider: "mailtrap", AccountID: "26730", DomainID: "3"}),
			serve: func(b book, a ask) (any, int) {
				if _, ok := a.is("POST", "/api/accounts/26730/suppressions"); ok {
					if a.body["domain_id"] != float64(3) {
						return nil, 422
					}
					b.add(a.body["sending_stream"].(string), a.body["email"].(string))
					return object{"data": object{}}, 200
				}
				if s, ok := a.is("DELETE", "/api/accounts/26730/suppressions/*"); ok {
					stream, who, _ := strings.Cut(s[0], " ")
					return b.lift(stream, who)
				}
				found := []object{}
				for _, stream := range []string{"bulk", "transactional"} {
					if who := a.query.Get("email"); b[stream+" "+who] {
						found = append(found, object{"id": stream + " " + who, "email": who, "type": "hard bounce", "sending_stream": stream, "domain_name": "a.example"})
					}
				}
				return found, 200
			},
			wanted: map[string]int{"bounce": 2, "unsubscribe": 1},
			listed: []string{"bulk " + bob, "bulk bob@example.com", "transactional " + bob},
		},
	}
}

// start runs the stand-in, whose first answer is 429.
func (c changing) start(t *testing.T) (providerapi.Account, book, *[]time.Duration, providerapi.Options) {
	t.Helper()
	b := book{}
	s := standIns()[c.name]
	s.account, s.answer = c.account, nil
	inner := s.key
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var text json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&text) // none of a request without a body
		if !inner(r, text) {
			s.refuseKey(w)
			return
		}
		if len(text) > 0 && r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
		a := ask{method: r.Method, query: r.URL.Query()}
		for part := range strings.SplitSeq(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
			plain, _ := url.PathUnescape(part) // of the client
			a.parts = append(a.parts, plain)
		}
		_ = json.Unmarshal(text, &a.body)  // an array has none
		_ = json.Unmarshal(text, &a.items) // an object has none
		answer, status := any(nil), http.StatusBadRequest
		if size := a.size(); size <= c.most {
			answer, status = c.serve(b, a)
		} else {
			t.Errorf("%d addresses are in one call", size) // they would be halved
		}
		w.WriteHeader(status)
		if answer != nil {
			_ = json.NewEncoder(w).Encode(answer) // to ourselves
		}
	}))
	t.Cleanup(server.Close)
	a, waits, opt := s.serve(t) // for its clock and its waits
	a.URL = server.URL
	first := true
	opt.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if first {
			first = false
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"7"}}, Body: http.NoBody, Request: r}, nil
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	return a, b, waits, opt
}

// ours are entries of ours.
func ours() map[string]providerapi.Listed {
	return map[string]providerapi.Listed{
		"bounce":      {Address: bob, Kind: providerapi.Bounce},
		"unsubscribe": {Address: "bob@example.com", Kind: providerapi.Unsubscribe},
		"list":        {Address: "bob@example.com", Kind: providerapi.Unsubscribe, List: "17"},
	}
}

// TestChange_AddsFindsAndLifts goes once there and back at each provider.
func TestChange_AddsFindsAndLifts(t *testing.T) {
	t.Parallel()
	for _, c := range changings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, there, waits, opt := c.start(t)
			for range 2 { // a repeat changes nothing
				for _, name := range []string{"bounce", "unsubscribe", "list"} {
					entries, why := providerapi.Wanted(a, ours()[name])
					if len(entries) != c.wanted[name] || (why == "") != (len(entries) > 0) {
						t.Fatalf("%s: %d lists, %q", name, len(entries), why)
					}
					added := 0
					err := providerapi.Add(t.Context(), a, opt, entries, func(n int, refused []providerapi.Refused) { added += n - len(refused) })
					if err != nil || added != len(entries) {
						t.Fatalf("%s: %d of %d added, %v", name, added, len(entries), err)
					}
				}
			}
			if !slices.Equal(*waits, []time.Duration{7 * time.Second}) {
				t.Errorf("waited %v", *waits)
			}
			var listed []string
			for entry := range there {
				listed = append(listed, entry)
			}
			slices.Sort(listed)
			if diff := cmp.Diff(c.listed, listed); diff != "" {
				t.Errorf("on the lists (-want +got):\n%s", diff)
			}
			for name, who := range map[string]string{"bounce": bob, "unsubscribe": "bob@example.com"} {
				found, err := providerapi.Find(t.Context(), a, opt, who)
				if err != nil || (len(found) > 0) != (c.wanted[name] > 0) {
					t.Errorf("%s: found %v, %v", name, found, err)
				}
				for range 2 { // what is gone is no fault
					for _, l := range found {
						if err := providerapi.Lift(t.Context(), a, opt, l); err != nil {
							t.Errorf("lift %+v: %v", l, err)
						}
					}
				}
				if found, err := providerapi.Find(t.Context(), a, opt, who); err != nil || len(found) != 0 {
					t.Errorf("%s: found after the lift %v, %v", name, found, err)
				}
			}
		})
	}
}
