package providerapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/providerapi"
)

const (
	rightKey    = "key-of-the-tests"
	rightSecret = "secret-of-the-tests"
)

// object is JSON.
type object = map[string]any

// standIn answers as a provider documents it: it wants the right key in the right place,
// has pages of its own size, and refuses parameters that the provider refuses.
type standIn struct {
	account providerapi.Account
	key     func(*http.Request, []byte) bool // whether the request has the right key
	// answer is the page that is asked for, of entries i in [0, entries); a status instead
	// of 200 refuses.
	answer  func(base string, r *http.Request, entries int) (any, int)
	entries int // in each list, more than a page
	want    map[providerapi.Kind]int
}

func addr(list string, i int) string { return fmt.Sprintf("%s.%d@example.com", list, i) }

// paging is how a provider names offset and limit, and its largest page.
type paging struct {
	offset, limit string
	largest       int
}

// span are the entries of a page.
func (p paging) span(r *http.Request, entries int) (from, to int, ok bool) {
	n, err1 := strconv.Atoi(r.URL.Query().Get(p.limit))
	start, err2 := strconv.Atoi(r.URL.Query().Get(p.offset))
	if err1 != nil || err2 != nil || n < 1 || n > p.largest {
		return 0, 0, false
	}
	return min(start, entries), min(start+n, entries), true
}

func each(from, to int, one func(i int) any) []any {
	out := []any{}
	for i := from; i < to; i++ {
		out = append(out, one(i))
	}
	return out
}

func last(path string) string { return path[strings.LastIndex(path, "/")+1:] }

func bearer(r *http.Request, _ []byte) bool {
	return r.Header.Get("Authorization") == "Bearer "+rightKey
}

func standIns() map[string]standIn {
	const day = "2026-03-04T09:15:30Z"
	return map[string]standIn{
		"sendgrid": {
			account: providerapi.Account{Provider: "sendgrid"}, key: bearer, entries: 501,
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				switch r.URL.Path {
				case "/v3/asm/groups":
					return []object{{"id": 17, "name": "Weekly"}}, 200
				case "/v3/asm/groups/17/suppressions":
					return each(0, entries, func(i int) any { return addr("group", i) }), 200
				case "/v3/suppression/bounces", "/v3/suppression/invalid_emails", "/v3/suppression/spam_reports", "/v3/suppression/unsubscribes":
					from, to, ok := paging{"offset", "limit", 500}.span(r, entries)
					if !ok {
						return nil, 400
					}
					return each(from, to, func(i int) any {
						return object{"created": 1772615730, "email": addr(last(r.URL.Path), i), "reason": "550 gone"}
					}), 200
				}
				return nil, 404
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 2 * 501, providerapi.Complaint: 501, providerapi.Unsubscribe: 2 * 501},
		},
		"mailgun": {
			account: providerapi.Account{Provider: "mailgun", Domains: []string{"mg.example.com"}}, entries: 1001,
			key: func(r *http.Request, _ []byte) bool {
				user, password, _ := r.BasicAuth()
				return user == "api" && password == rightKey
			},
			answer: func(base string, r *http.Request, entries int) (any, int) {
				list := last(r.URL.Path)
				if !slices.Contains([]string{"bounces", "complaints", "unsubscribes"}, list) || !strings.HasPrefix(r.URL.Path, "/v3/mg.example.com/") {
					return nil, 404
				}
				from, _ := strconv.Atoi(r.URL.Query().Get("from"))
				to := min(from+1000, entries)
				items := each(from, to, func(i int) any {
					return object{"address": addr(list, i), "code": "550", "error": "gone", "created_at": "Wed, 04 Mar 2026 09:15:30 UTC"}
				})
				return object{"items": items, "paging": object{"next": fmt.Sprintf("%s%s?limit=1000&page=next&from=%d", base, r.URL.Path, to)}}, 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 1001, providerapi.Complaint: 1001, providerapi.Unsubscribe: 1001},
		},
		"mailjet": {
			account: providerapi.Account{Provider: "mailjet", Secret: config.Literal(rightSecret)}, entries: 1001,
			key: func(r *http.Request, _ []byte) bool {
				user, password, _ := r.BasicAuth()
				return user == rightKey && password == rightSecret
			},
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				from, to, ok := paging{"Offset", "Limit", 1000}.span(r, entries)
				if !ok || r.URL.Path != "/v3/REST/contact" || r.URL.Query().Get("IsExcludedFromCampaigns") != "true" {
					return nil, 400
				}
				return object{"Count": to - from, "Data": each(from, to, func(i int) any {
					return object{"Email": addr("x", i), "ExclusionFromCampaignsUpdatedAt": day, "IsExcludedFromCampaigns": true}
				})}, 200
			},
			want: map[providerapi.Kind]int{providerapi.Manual: 1001},
		},
		"postmark": {
			account: providerapi.Account{Provider: "postmark"}, entries: 4,
			key: func(r *http.Request, _ []byte) bool { return r.Header.Get("X-Postmark-Server-Token") == rightKey },
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				stream := strings.Split(r.URL.Path, "/")[2]
				if stream != "outbound" && stream != "broadcast" || last(r.URL.Path) != "dump" {
					return nil, 404
				}
				reasons := []object{
					{"SuppressionReason": "HardBounce", "Origin": "Recipient"}, {"SuppressionReason": "SpamComplaint", "Origin": "Recipient"},
					{"SuppressionReason": "ManualSuppression", "Origin": "Recipient"}, {"SuppressionReason": "ManualSuppression", "Origin": "Customer"},
				}
				return object{"Suppressions": each(0, entries, func(i int) any {
					e := object{"EmailAddress": addr(stream, i), "CreatedAt": "2026-03-04T09:15:30-05:00"}
					for name, value := range reasons[i] {
						e[name] = value
					}
					return e
				})}, 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 2, providerapi.Complaint: 2, providerapi.Unsubscribe: 2, providerapi.Manual: 2},
		},
		"brevo": {
			account: providerapi.Account{Provider: "brevo"}, entries: 205,
			key: func(r *http.Request, _ []byte) bool { return r.Header.Get("Api-Key") == rightKey },
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				from, to, ok := paging{"offset", "limit", 100}.span(r, entries)
				if !ok || r.URL.Path != "/v3/smtp/blockedContacts" {
					return nil, 400
				}
				codes := []string{"hardBounce", "contactFlaggedAsSpam", "unsubscribedViaEmail", "adminBlocked", "somethingNew"}
				return object{"count": entries, "contacts": each(from, to, func(i int) any {
					return object{"email": addr("b", i), "senderEmail": "shop@example.com", "blockedAt": "2026-03-04T09:15:30.000+02:00", "reason": object{"code": codes[i%5], "message": "why"}}
				})}, 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 41, providerapi.Complaint: 41, providerapi.Unsubscribe: 41, providerapi.Manual: 82},
		},
		"resend": {
			account: providerapi.Account{Provider: "resend"}, key: bearer, entries: 205,
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				q, from := r.URL.Query(), 0
				if q.Has("after") {
					last, err := strconv.Atoi(strings.TrimPrefix(q.Get("after"), "id-"))
					if err != nil {
						return nil, 422
					}
					from = last + 1
				}
				if r.URL.Path != "/suppressions" || q.Get("limit") != "100" {
					return nil, 422
				}
				to := min(from+100, entries)
				return object{"object": "list", "has_more": to < entries, "data": each(from, to, func(i int) any {
					return object{"id": fmt.Sprintf("id-%d", i), "email": addr("r", i), "origin": []string{"bounce", "complaint", "manual"}[i%3], "created_at": "2026-03-04 09:15:30.123456+00"}
				})}, 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 69, providerapi.Complaint: 68, providerapi.Manual: 68},
		},
		"sparkpost": {
			account: providerapi.Account{Provider: "sparkpost"}, entries: 25,
			key: func(r *http.Request, _ []byte) bool { return r.Header.Get("Authorization") == rightKey },
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				from := 0
				if cursor := r.URL.Query().Get("cursor"); cursor != "initial" {
					var err error
					if from, err = strconv.Atoi(cursor); err != nil {
						return nil, 400
					}
				}
				to, links := min(from+10, entries), []object{}
				if to < entries {
					links = append(links, object{"href": "/api/v1/suppression-list?cursor=" + strconv.Itoa(to) + "&per_page=10000", "rel": "next"})
				}
				return object{"total_count": entries, "links": links, "results": each(from, to, func(i int) any {
					return object{"recipient": addr("s", i), "type": "non_transactional", "source": []string{"Bounce Rule", "Spam Complaint"}[i%2], "created": "2026-03-04T09:15:30.000Z", "description": "550"}
				})}, 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 13, providerapi.Complaint: 12},
		},
		"mailersend": {
			account: providerapi.Account{Provider: "mailersend"}, key: bearer, entries: 101,
			answer: func(base string, r *http.Request, entries int) (any, int) {
				list := last(r.URL.Path)
				page, err := strconv.Atoi(r.URL.Query().Get("page"))
				if err != nil || page < 1 {
					return nil, 422
				}
				from, to := min((page-1)*100, entries), min(page*100, entries)
				var next any
				if to < entries {
					next = fmt.Sprintf("%s%s?page=%d", base, r.URL.Path, page+1)
				}
				return object{"links": object{"next": next}, "data": each(from, to, func(i int) any {
					if list == "blocklist" {
						return object{"id": "1", "type": []string{"exact", "pattern"}[i%2], "pattern": addr(list, i), "created_at": "2026-03-04 09:15:30"}
					}
					return object{"id": "1", "created_at": day, "reason": "550", "recipient": object{"email": addr(list, i)}}
				})}, 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 101, providerapi.Complaint: 101, providerapi.Unsubscribe: 101, providerapi.Manual: 51},
		},
		"mailtrap": {
			account: providerapi.Account{Provider: "mailtrap", AccountID: "26730"}, key: bearer, entries: 999,
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				if r.URL.Path != "/api/accounts/26730/suppressions" || r.Method != http.MethodGet {
					return nil, 404
				}
				types := []string{"hard bounce", "spam complaint", "unsubscription"}
				return each(0, min(entries, 1000), func(i int) any {
					return object{"id": strconv.Itoa(i), "type": types[i%3], "email": addr("t", i), "sending_stream": "bulk", "domain_name": nil, "message_esp_response": "550", "created_at": day}
				}), 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 333, providerapi.Complaint: 333, providerapi.Unsubscribe: 333},
		},
		"mandrill": {
			account: providerapi.Account{Provider: "mandrill"}, entries: 6,
			key: func(_ *http.Request, body []byte) bool { return strings.Contains(string(body), `"key":"`+rightKey+`"`) },
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				if r.Method != http.MethodPost || r.URL.Path != "/api/1.0/rejects/list" {
					return nil, 404
				}
				reasons := []string{"hard-bounce", "soft-bounce", "spam", "unsub", "custom"}
				return each(0, entries, func(i int) any {
					return object{"email": addr("m", i), "reason": reasons[i%5], "detail": "550", "created_at": "2026-03-04 09:15:30", "expires_at": nil, "expired": i == 5}
				}), 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 2, providerapi.Complaint: 1, providerapi.Unsubscribe: 1, providerapi.Manual: 1},
		},
		"ses": {
			account: providerapi.Account{Provider: "ses", Region: "eu-west-1", Secret: config.Literal(rightSecret)}, entries: 1001,
			key: func(r *http.Request, _ []byte) bool {
				given := r.Header.Get("Authorization")
				return strings.HasPrefix(given, "AWS4-HMAC-SHA256 Credential="+rightKey+"/20260304/eu-west-1/ses/aws4_request, SignedHeaders=") && strings.Contains(given, "Signature=")
			},
			answer: func(_ string, r *http.Request, entries int) (any, int) {
				from, _ := strconv.Atoi(r.URL.Query().Get("NextToken"))
				to := min(from+1000, entries)
				page := object{"SuppressedDestinationSummaries": each(from, to, func(i int) any {
					return object{"EmailAddress": addr("a", i), "Reason": []string{"BOUNCE", "COMPLAINT"}[i%2], "LastUpdateTime": 1.77261573e9}
				})}
				if to < entries {
					page["NextToken"] = strconv.Itoa(to)
				}
				return page, 200
			},
			want: map[providerapi.Kind]int{providerapi.Bounce: 501, providerapi.Complaint: 500},
		},
	}
}

// serve runs a stand-in whose first answers are before.
func (s standIn) serve(t *testing.T, before ...int) (providerapi.Account, *[]time.Duration, providerapi.Options) {
	t.Helper()
	var waits []time.Duration
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // of a test's own request
		if len(before) > 0 {
			status := before[0]
			before = before[1:]
			if status == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "7")
			}
			w.WriteHeader(status)
			return
		}
		if !s.key(r, body) {
			s.refuseKey(w)
			return
		}
		answer, status := s.answer(server.URL, r, s.entries)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // to ourselves
	}))
	t.Cleanup(server.Close)
	s.account.URL, s.account.Key = server.URL, config.Literal(rightKey)
	return s.account, &waits, providerapi.Options{
		Sleep: func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil },
		Clock: func() time.Time { return time.Date(2026, 3, 4, 9, 15, 30, 0, time.UTC) },
	}
}

// refuseKey answers a key that is wrong or has expired.
func (s standIn) refuseKey(w http.ResponseWriter) {
	if s.account.Provider != "mandrill" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"status":"error","code":-1,"name":"Invalid_Key","message":"Invalid API key"}`) // to ourselves
}

func read(t *testing.T, a providerapi.Account, opt providerapi.Options) (map[providerapi.Kind]int, error) {
	t.Helper()
	var p config.Problems
	a.Source = "acme"
	providerapi.Accounts{a}.Validate(&p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	got, seen := map[providerapi.Kind]int{}, map[string]bool{}
	err := providerapi.Each(t.Context(), a, opt, func(l providerapi.Listed) error {
		if seen[l.Address] || !strings.HasSuffix(l.Address, "@example.com") {
			t.Errorf("%q comes twice or is none", l.Address)
		}
		if l.Since.IsZero() && l.List == "" || !l.Since.IsZero() && l.Since.Year() != 2026 {
			t.Errorf("%s: since %s", l.Address, l.Since)
		}
		seen[l.Address] = true
		got[l.Kind]++
		return nil
	})
	return got, err
}

func TestEach_ReadsEveryPageOfEveryList(t *testing.T) {
	t.Parallel()
	for name, s := range standIns() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _, opt := s.serve(t)
			got, err := read(t, a, opt)
			if diff := cmp.Diff(s.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestEach_WaitsAsItIsToldAndRepeatsPassingFaults(t *testing.T) {
	t.Parallel()
	for name, s := range standIns() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, waits, opt := s.serve(t, http.StatusTooManyRequests, http.StatusBadGateway)
			got, err := read(t, a, opt)
			if diff := cmp.Diff(s.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if want := []time.Duration{7 * time.Second, 4 * time.Second}; !slices.Equal(*waits, want) {
				t.Errorf("waited %v, want %v", *waits, want)
			}
		})
	}
}

func TestEach_NamesAWrongKeyAtOnce(t *testing.T) {
	t.Parallel()
	for name, s := range standIns() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, waits, opt := s.serve(t)
			a.Key = config.Literal("an-expired-key")
			_, err := read(t, a, opt)
			if err == nil || !strings.Contains(err.Error(), "the key is wrong") || strings.Contains(err.Error(), "an-expired-key") || len(*waits) > 0 {
				t.Errorf("after %d waits: %v", len(*waits), err)
			}
		})
	}
}

// What is cut off must not be taken for the list.
func TestEach_SaysThatAListIsCutOff(t *testing.T) {
	t.Parallel()
	s := standIns()["mailtrap"]
	s.entries = 1001
	a, _, opt := s.serve(t)
	if _, err := read(t, a, opt); err == nil || !strings.Contains(err.Error(), "there may be more") {
		t.Errorf("error %v", err)
	}
}

func TestEach_GivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	a, waits, opt := standIns()["brevo"].serve(t, slices.Repeat([]int{503}, 100)...)
	_, err := read(t, a, opt)
	if err == nil || !strings.Contains(err.Error(), "503") || len(*waits) != 7 {
		t.Errorf("after %v: %v", *waits, err)
	}
}

// The key must not follow a page to another host.
func TestEach_FollowsNoPageElsewhere(t *testing.T) {
	t.Parallel()
	s := standIns()["mailgun"]
	inner := s.answer
	s.answer = func(_ string, r *http.Request, entries int) (any, int) {
		return inner("http://elsewhere.example", r, entries)
	}
	a, _, opt := s.serve(t)
	if _, err := read(t, a, opt); err == nil || !strings.Contains(err.Error(), "another host") {
		t.Errorf("error %v", err)
	}
}

func TestEach_EndsWithItsReader(t *testing.T) {
	t.Parallel()
	a, _, opt := standIns()["ses"].serve(t)
	full := errors.New("the disk is full")
	err := providerapi.Each(t.Context(), a, opt, func(providerapi.Listed) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

func TestAccounts_NameEveryFault(t *testing.T) {
	t.Parallel()
	key := config.Literal(rightKey)
	for want, a := range map[string]providerapi.Account{
		"provider":                       {Provider: "smtp2go", Key: key},
		"key: is missing":                {Provider: "brevo"},
		"secret: is missing":             {Provider: "mailjet", Key: key},
		"secret: must be empty: brevo":   {Provider: "brevo", Key: key, Secret: key},
		"region: is missing":             {Provider: "ses", Key: key, Secret: key, URL: "https://ses.example.com"},
		"domains: is missing":            {Provider: "mailgun", Key: key},
		"streams: must be empty: send":   {Provider: "sendgrid", Key: key, Streams: []string{"a"}},
		"account_id: is missing":         {Provider: "mailtrap", Key: key},
		"domain_id: must be empty":       {Provider: "brevo", Key: key, DomainID: "1"},
		"url: the URL of the API is not": {Provider: "brevo", Key: key, URL: "ftp://x"},
	} {
		var p config.Problems
		a.Source = "acme"
		providerapi.Accounts{a}.Validate(&p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "[0]."+want) {
			t.Errorf("want %s: %v", want, err)
		}
	}
}

// FuzzEach gives every reader what a provider never sends.
func FuzzEach(f *testing.F) {
	for name := range standIns() {
		f.Add(name, []byte(`{"items":[{"address":1}],"paging":{"next":"::"}}`))
		f.Add(name, []byte(`[{"email":"a@example.com","created":1e400}]`))
		f.Add(name, []byte(`null`))
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		s, ok := standIns()[name]
		if !ok {
			return
		}
		answers := 0
		a := s.account
		a.URL, a.Key = "http://provider.example", config.Literal(rightKey)
		_ = providerapi.Each(t.Context(), a, providerapi.Options{ // it may refuse; it must end
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				if answers++; answers > 20 {
					return nil, io.ErrUnexpectedEOF
				}
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(body))), Request: r}, nil
			}),
			Sleep: func(context.Context, time.Duration) error { return io.EOF },
		}, func(l providerapi.Listed) error {
			if l.Address == "" || len(l.Detail) > 200 {
				t.Errorf("entry %+v", l)
			}
			return nil
		})
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
