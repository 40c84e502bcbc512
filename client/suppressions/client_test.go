package suppressions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/client/suppressions"
)

// played is the service as the tests want it to answer, without a network, so that time
// can be virtual. The tests beside the service (devstack/test/sendertest) use the real one.
type played func(*http.Request) *http.Response

func (p played) RoundTrip(r *http.Request) (*http.Response, error) {
	if resp := p(r); resp != nil {
		return resp, nil
	}
	return nil, errors.New("connection refused")
}

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// checked answers a check as the service does: what contains "gone" is listed, what has
// no @ is no address.
func checked(r *http.Request) *http.Response {
	var req struct{ Addresses []string }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || len(req.Addresses) > 10_000 {
		return answer(400, `{"title":"bad request","detail":"too many"}`)
	}
	type object = map[string]any
	listed, invalid := []object{}, []object{}
	for i, a := range req.Addresses {
		if !strings.Contains(a, "@") {
			invalid = append(invalid, object{"index": i, "error": "not an email address"})
		} else if strings.Contains(a, "gone") {
			listed = append(listed, object{"address": a, "reason": "hard_bounce", "scope": "account", "since": "2026-01-02T10:00:00Z", "expires": nil})
		}
	}
	text, _ := json.Marshal(object{"suppressed": listed, "checked": len(req.Addresses) - len(invalid), "invalid": invalid, "lag_ms": 1})
	return answer(200, string(text))
}

func client(t *testing.T, cfg suppressions.Config, service played) *suppressions.Client {
	t.Helper()
	cfg.URL, cfg.HTTP = "http://suppression.example", &http.Client{Transport: service}
	c, err := suppressions.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheck_AVerdictOnEachInOrder(t *testing.T) {
	t.Parallel()
	c := client(t, suppressions.Config{Token: "secret"}, func(r *http.Request) *http.Response {
		if r.Header.Get("Authorization") != "Bearer secret" || r.URL.Path != "/v1/suppressions/check" {
			return answer(401, "")
		}
		return checked(r)
	})
	var ask []string
	for i := range 25_000 {
		ask = append(ask, fmt.Sprintf("%s%d@example.com", []string{"u", "gone"}[i%2], i))
	}
	ask[20_001] = "nonsense"
	ask[20_003], ask[20_004] = "J\xfcrgen <gone@example.com>", "J\xfcrgen <u@example.com>" // no UTF-8
	got, err := c.Check(t.Context(), suppressions.Mail{Stream: "marketing"}, ask...)
	if err != nil || len(got) != len(ask) {
		t.Fatal(len(got), err)
	}
	for i, v := range got {
		if v.Address != ask[i] || v.Suppressed != (i%2 == 1) || (v.Fault != "") != (i == 20_001) || v.Assumed {
			t.Fatalf("%d: %+v", i, v)
		}
	}
	if v := got[1]; v.Reason != "hard_bounce" || v.Scope != "account" || v.Since.IsZero() || !v.Expires.IsZero() {
		t.Errorf("%+v", v)
	}
	if got, err := c.Check(t.Context(), suppressions.Mail{}); err != nil || len(got) != 0 {
		t.Errorf("nobody: %v, %v", got, err)
	}
}

// TestCheck_AnAnswerThatLeavesSomebodyOutIsNone: who is left out would be mailed.
func TestCheck_AnAnswerThatLeavesSomebodyOutIsNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `{"checked":1}`, `{"checked":3}`, `[]`, `{"checked":2,`, `{"checked":2,"suppressed":[{"address":"other@example.com"}]}`,
		`{"checked":1,"invalid":[{"index":7,"error":"x"}]}`, `{"checked":0,"invalid":[{"index":1,"error":"x"},{"index":0,"error":"x"}]}`,
	} {
		c := client(t, suppressions.Config{Attempts: 1, Policy: suppressions.FailClosed}, func(*http.Request) *http.Response { return answer(200, body) })
		got, err := c.Check(t.Context(), suppressions.Mail{}, "a@example.com", "b@example.com")
		if err != nil || len(got) != 2 || !got[0].Assumed || !got[1].Suppressed {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

func TestCheck_RepeatsWhatIsPassing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault   *http.Response // nil: nobody is there
		repeats bool
	}{
		"nobody there": {nil, true}, "busy": {answer(503, `{"title":"busy"}`, "Retry-After", "2"), true}, "proxy": {answer(502, "<html>"), true},
		"not yet applied": {answer(409, `{"title":"not_yet_applied"}`), true}, "wrong token": {answer(401, `{"title":"unauthorized","detail":"a valid token"}`), false},
		"wrong request": {answer(400, `{"title":"bad request"}`), false}, "redirect": {answer(301, ""), false},
	} {
		for _, policy := range []suppressions.Policy{suppressions.FailWithError, suppressions.FailOpen, suppressions.FailClosed} {
			t.Run(fmt.Sprint(name, policy), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					asked, faults := 0, 2
					c := client(t, suppressions.Config{Policy: policy}, func(r *http.Request) *http.Response {
						if asked++; asked <= faults {
							if tc.fault == nil {
								return nil
							}
							return answer(tc.fault.StatusCode, `{"title":"x","detail":"y"}`, "Retry-After", tc.fault.Header.Get("Retry-After"))
						}
						return checked(r)
					})
					began := time.Now()
					got, err := c.Check(t.Context(), suppressions.Mail{}, "gone@example.com")
					if (err == nil) != tc.repeats || tc.repeats && (asked != 3 || got[0].Assumed || !got[0].Suppressed) || !tc.repeats && asked != 1 {
						t.Fatalf("%+v, %v after %d", got, err, asked)
					}
					if answered, ok := errors.AsType[*suppressions.Error](err); !tc.repeats && (!ok || answered.Detail != "y") {
						t.Errorf("error %v", err)
					}
					if took := time.Since(began); took > 5*time.Second || tc.fault != nil && tc.fault.Header.Get("Retry-After") != "" && took < 4*time.Second {
						t.Errorf("took %s", took)
					}
					if !tc.repeats {
						return
					}
					asked, faults = 0, 100
					got, err = c.Check(t.Context(), suppressions.Mail{}, "ana@example.com")
					switch {
					case policy == suppressions.FailWithError:
						if err == nil || got != nil {
							t.Errorf("%+v, %v", got, err)
						}
					case err != nil || !got[0].Assumed || got[0].Suppressed != (policy == suppressions.FailClosed):
						t.Errorf("%+v, %v", got, err)
					}
				})
			})
		}
	}
}

func TestCheck_ASilentServiceIsWaitedForNoLongerThanTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, suppressions.Config{Policy: suppressions.FailOpen, Timeout: time.Second}, func(r *http.Request) *http.Response {
			<-r.Context().Done()
			return nil
		})
		began := time.Now()
		got, err := c.Check(t.Context(), suppressions.Mail{}, "ana@example.com")
		if took := time.Since(began); err != nil || !got[0].Assumed || took > time.Second {
			t.Errorf("%+v, %v after %s", got, err, took)
		}
	})
}

func TestCheck_KeepsAnswersForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		c := client(t, suppressions.Config{CacheFor: 10 * time.Second, CacheMax: 100}, func(r *http.Request) *http.Response {
			text, _ := io.ReadAll(r.Body)
			var req struct{ Addresses []string }
			_ = json.Unmarshal(text, &req)
			asked = append(asked, req.Addresses...)
			r.Body = io.NopCloser(strings.NewReader(string(text)))
			return checked(r)
		})
		ask := func(mail suppressions.Mail, addresses ...string) (n int) {
			t.Helper()
			before := len(asked)
			got, err := c.Check(t.Context(), mail, addresses...)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				if v.Address != addresses[i] || v.Suppressed != strings.Contains(v.Address, "gone") {
					t.Fatalf("%+v", v)
				}
			}
			return len(asked) - before
		}
		marketing := suppressions.Mail{Stream: "marketing"}
		for _, step := range []struct {
			wait time.Duration
			mail suppressions.Mail
			want int
		}{{0, marketing, 2}, {9 * time.Second, marketing, 0}, {0, suppressions.Mail{}, 2}, {0, suppressions.Mail{MinToken: "t"}, 2}, {time.Second, marketing, 2}} {
			time.Sleep(step.wait)
			if n := ask(step.mail, "a@example.com", "gone@example.com"); n != step.want {
				t.Errorf("%+v: %d were asked about, want %d", step, n, step.want)
			}
		}
		if n := ask(marketing, "gone@example.com", "new@example.com", "a@example.com"); n != 1 {
			t.Errorf("%d, want the one that is new", n)
		}
		for i := range 1000 { // more than are kept
			ask(marketing, fmt.Sprintf("u%d@example.com", i))
		}
		if n := ask(marketing, "a@example.com"); n != 1 {
			t.Error("kept beyond the bound")
		}
	})
}

func TestNew_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]suppressions.Config{
		"URL": {URL: "suppression:8082"}, "URL is": {URL: "http://x/?a=b"}, "Policy": {URL: "http://x", Policy: 7}, "Timeout": {URL: "http://x", Timeout: time.Hour},
		"Attempts": {URL: "http://x", Attempts: -1}, "CacheFor": {URL: "http://x", CacheFor: time.Hour}, "CacheMax": {URL: "http://x", CacheMax: 1},
	} {
		if _, err := suppressions.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
	if _, err := suppressions.New(suppressions.Config{URL: "https://suppression.example/base/"}); err != nil {
		t.Error(err)
	}
}

// addresses are n of which every tenth is listed.
func addresses(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d@example.com", []string{"u", "gone"}[min(i%10, 1)^1], i)
	}
	return slices.Clip(out)
}
