package suppressions_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/client/suppressions"
)

// streamed answers a stream as the service does, each line when it comes, and ends the
// connection after a minute without a line. cut, where it is not nil, says after which lines the connection ends.
func streamed(cut func(line int) bool) played {
	return func(r *http.Request) *http.Response {
		out, in := io.Pipe()
		go func() {
			defer func() { _ = r.Body.Close() }()
			lines := bufio.NewScanner(r.Body)
			idle := time.AfterFunc(time.Minute, func() {
				_, _ = in.CloseWithError(io.ErrUnexpectedEOF), r.Body.Close() // of a pipe neither fails
			})
			defer idle.Stop()
			for n := 1; lines.Scan(); n++ {
				idle.Reset(time.Minute)
				var l struct{ Address string }
				text := fmt.Sprintf(`{"line":%d,"error":"not JSON"}`, n)
				if json.Unmarshal(lines.Bytes(), &l) == nil && strings.Contains(l.Address, "@") {
					quoted, _ := json.Marshal(l.Address)
					text = fmt.Sprintf(`{"address":%s,"suppressed":false}`, quoted)
					if strings.Contains(l.Address, "gone") {
						text = fmt.Sprintf(`{"address":%s,"suppressed":true,"reason":"complaint","scope":"account","since":"2026-01-02T10:00:00Z","expires":"2100-01-01T00:00:00Z"}`, quoted)
					}
				}
				if cut != nil && cut(n) {
					_ = in.CloseWithError(io.ErrUnexpectedEOF)
					return
				}
				if _, err := io.WriteString(in, text+"\n"); err != nil {
					return
				}
			}
			_ = in.CloseWithError(lines.Err())
		}()
		return &http.Response{StatusCode: 200, Body: out}
	}
}

func verify(t *testing.T, i int, v suppressions.Verdict, ask []string) {
	t.Helper()
	if v.Address != ask[i] || v.Suppressed != (strings.Contains(ask[i], "gone") || v.Fault != "") || v.Assumed ||
		(v.Fault != "") == strings.Contains(ask[i], "@") {
		t.Fatalf("verdict %d on %q: %+v", i, ask[i], v)
	}
}

// TestStream_AVerdictOnEachWhateverIsCutOff cuts connections at random places.
func TestStream_AVerdictOnEachWhateverIsCutOff(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				every := 1 + random.IntN(5000)
				service := streamed(func(n int) bool { return n > 1 && random.IntN(every) == 0 })
				c := client(t, suppressions.Config{}, func(r *http.Request) *http.Response {
					switch random.IntN(8) {
					case 0:
						return nil
					case 1:
						return answer(503, `{"title":"busy"}`)
					}
					return service(r)
				})
				ask := addresses(10_000)
				ask[7], ask[9_998], ask[4000] = "nonsense", "", "Jürgen \"<&>\" <j@example.com>"
				ask[4001], ask[4002] = "J\xfcrgen <gone@example.com>", "J\xfcrgen <j@example.com>" // no UTF-8
				i, failed := 0, 0
				for i < len(ask) {
					for v, err := range c.Stream(t.Context(), suppressions.Mail{}, slices.Values(ask[i:])) {
						if err != nil { // three faults one after the other
							failed++
							break
						}
						verify(t, i, v, ask)
						i++
					}
				}
				if failed > 200 {
					t.Errorf("%d streams failed", failed)
				}
			})
		})
	}
}

// TestStream_NoAddressWaitsForALaterOne gives each address when the verdict on the one
// before is there.
func TestStream_NoAddressWaitsForALaterOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, suppressions.Config{Attempts: 1}, streamed(nil))
		ask, next := addresses(3000), make(chan struct{}, 1)
		i := 0
		for v, err := range c.Stream(t.Context(), suppressions.Mail{}, func(yield func(string) bool) {
			for _, a := range ask {
				if !yield(a) {
					return
				}
				<-next
			}
		}) {
			if err != nil {
				t.Fatal(err)
			}
			verify(t, i, v, ask)
			i++
			time.Sleep(10 * time.Minute) // a sender that thinks is no fault
			next <- struct{}{}
		}
		if i != len(ask) {
			t.Errorf("%d verdicts", i)
		}
	})
}

func TestStream_TheLoopMayEnd(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 999, 1000, 1001, 40_000} { // and no goroutine is left, or the bubble fails
		synctest.Test(t, func(t *testing.T) {
			c, i := client(t, suppressions.Config{}, streamed(nil)), 0
			for _, err := range c.Stream(t.Context(), suppressions.Mail{}, slices.Values(addresses(100_000))) {
				if err != nil {
					t.Fatal(err)
				}
				if i++; i > n {
					break
				}
			}
			if i != n+1 {
				t.Errorf("%d, want %d", i, n+1)
			}
		})
	}
}

// TestStream_AsksForNoMoreOnceItEnded is with a sequence that takes its time.
func TestStream_AsksForNoMoreOnceItEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, asked := client(t, suppressions.Config{}, streamed(nil)), 0
		for range c.Stream(t.Context(), suppressions.Mail{}, func(yield func(string) bool) {
			for _, a := range addresses(1000) {
				if asked++; !yield(a) {
					return
				}
				time.Sleep(time.Second)
			}
		}) {
			break
		}
		if asked > 2 {
			t.Errorf("%d addresses were read for one verdict", asked)
		}
	})
}

// TestStream_OneThatGetsSomewhereGoesOn: attempts count those that got nowhere.
func TestStream_OneThatGetsSomewhereGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, suppressions.Config{Attempts: 1}, streamed(func(n int) bool { return n > 100 }))
		i, ask := 0, addresses(1000)
		for v, err := range c.Stream(t.Context(), suppressions.Mail{}, slices.Values(ask)) {
			if err != nil {
				t.Fatal(err)
			}
			verify(t, i, v, ask)
			i++
		}
		if i != len(ask) {
			t.Errorf("%d verdicts", i)
		}
	})
}

func TestStream_DoesWhatThePolicySays(t *testing.T) {
	t.Parallel()
	for _, policy := range []suppressions.Policy{suppressions.FailWithError, suppressions.FailOpen, suppressions.FailClosed} {
		for name, service := range map[string]played{
			"nobody there": func(*http.Request) *http.Response { return nil },
			"cut off":      streamed(func(n int) bool { return n > 0 }),
			"silent": func(r *http.Request) *http.Response {
				<-r.Context().Done()
				return nil
			},
			"goes silent": func(r *http.Request) *http.Response {
				out, in := io.Pipe()
				go func() {
					<-r.Context().Done()
					_ = in.CloseWithError(r.Context().Err())
				}()
				return &http.Response{StatusCode: 200, Body: out}
			},
			"somebody else's answers": func(r *http.Request) *http.Response {
				return answer(200, strings.Repeat(`{"address":"x@example.com","suppressed":false}`+"\n", 100))
			},
		} {
			t.Run(fmt.Sprint(name, policy), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c, ask := client(t, suppressions.Config{Policy: policy}, service), addresses(5000)
					i, began := 0, time.Now()
					var fault error
					for v, err := range c.Stream(t.Context(), suppressions.Mail{}, slices.Values(ask)) {
						if fault = err; err != nil {
							continue
						}
						if v.Address != ask[i] || !v.Assumed || v.Suppressed != (policy == suppressions.FailClosed) {
							t.Fatalf("%+v", v)
						}
						i++
					}
					if want := policy == suppressions.FailWithError; (fault != nil) != want || (i == 0) != want || !want && i != len(ask) {
						t.Errorf("%d verdicts, %v", i, fault)
					}
					if errors.Is(fault, context.Canceled) {
						t.Errorf("a service that is silent is taken for a sender who stops: %v", fault)
					}
					if took := time.Since(began); took > 2*time.Minute {
						t.Errorf("took %s", took)
					}
				})
			})
		}
	}
}

func TestStream_AWrongRequestIsAnErrorUnderEachPolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range []suppressions.Policy{suppressions.FailWithError, suppressions.FailOpen, suppressions.FailClosed} {
		asked := 0
		c := client(t, suppressions.Config{Policy: policy}, func(r *http.Request) *http.Response {
			asked++
			_ = r.Body.Close()
			return answer(401, `{"title":"unauthorized"}`)
		})
		n := 0
		for v, err := range c.Stream(t.Context(), suppressions.Mail{}, slices.Values(addresses(100_000))) {
			if answered, ok := errors.AsType[*suppressions.Error](err); !ok || answered.Status != 401 {
				t.Errorf("%+v, %v", v, err)
			}
			n++
		}
		if n != 1 || asked != 1 {
			t.Errorf("%d, asked %d times", n, asked)
		}
	}
}

// TestStream_LetsGoOfARealConnectionThatIsSilent is with the transport of net/http, which
// waits for a body that is being read.
func TestStream_LetsGoOfARealConnectionThatIsSilent(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]bool{"before the header": false, "behind it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if control := http.NewResponseController(w); header {
					_, _ = control.EnableFullDuplex(), control.Flush() // HTTP/1 has them
				}
				_, _ = io.Copy(io.Discard, r.Body) // until the client lets go
			}))
			defer service.Close()
			c, err := suppressions.New(suppressions.Config{URL: service.URL, Policy: suppressions.FailClosed, Timeout: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			i, ask, release := 0, addresses(3), make(chan struct{})
			for v, err := range c.Stream(t.Context(), suppressions.Mail{}, func(yield func(string) bool) {
				for _, a := range ask[:2] {
					if !yield(a) {
						return
					}
				}
				<-release // there is more to come
				yield(ask[2])
			}) {
				if err != nil || !v.Assumed || v.Address != ask[i] {
					t.Fatalf("%+v, %v", v, err)
				}
				if i++; i == 2 {
					close(release)
				}
			}
			if i != 3 {
				t.Errorf("%d verdicts", i)
			}
		})
	}
}
