package api_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/api"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const streamPath = "/v1/suppressions/check/stream"

// streamed is one line out.
type streamed struct {
	Address    string
	Suppressed *bool
	Reason     string
	Line       int
	Error      string
	Stale      bool
}

func decodeStreamed(tb testing.TB, body string) []streamed {
	tb.Helper()
	var out []streamed
	for line := range strings.Lines(body) {
		var s streamed
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			tb.Fatalf("%q: %v", line, err)
		}
		out = append(out, s)
	}
	return out
}

func TestStream_EachLineHasItsAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(object{"address": "gone@example.com", "reason": "hard_bounce", "note": "<a & b>"})
	f.put(object{"address": "left@example.com", "reason": "unsubscribe", "stream": "marketing"})
	long := `{"address":"` + strings.Repeat("x", 100_000) + `@example.com"}`
	in := strings.Join([]string{
		`{"address":"ana@example.com"}`, `{"address":"Gone@example.com"}`, `nonsense`, ``, `{"address":"x@example.com","stream":"a"}`, long,
		`{ "address": "J\u00fcrgen <left@example.com>" }`, `{"address":"two@example.com,three@example.com"}`, `{"address":"a@example.com"}{}`,
		`{"address":"a@example.com","address":"b@example.com"}`, `{"address":null}`, `[]`, "{\"address\":\"last@example.com\"}\r",
	}, "\n")
	w := f.do("POST", streamPath+"?stream=marketing", in)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	got := decodeStreamed(t, w.Body.String())
	want := []struct{ address, reason, fault string }{
		{address: "ana@example.com"}, {address: "Gone@example.com", reason: "hard_bounce"}, {fault: "not JSON"}, {fault: "ends before"},
		{fault: `unknown field "stream"`}, {fault: "longer than 4096 bytes"}, {address: "Jürgen <left@example.com>", reason: "unsubscribe"},
		{fault: "more than one address"}, {fault: "something follows"}, {fault: "given twice"}, {fault: "missing"}, {fault: "not a JSON object"},
		{address: "last@example.com"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines for %d:\n%s", len(got), len(want), w.Body)
	}
	for i, g := range got {
		if want[i].fault != "" {
			if g.Line != i+1 || !strings.Contains(g.Error, want[i].fault) || g.Suppressed != nil {
				t.Errorf("line %d: %+v, want %q", i+1, g, want[i].fault)
			}
			continue
		}
		if g.Error != "" || g.Address != want[i].address || g.Suppressed == nil || *g.Suppressed != (want[i].reason != "") || g.Reason != want[i].reason {
			t.Errorf("line %d: %+v, want %+v", i+1, g, want[i])
		}
	}
	for name, want := range map[string]string{"Checked": "4", "Suppressed": "2", "Faults": "9", "Lag-Ms": "7"} {
		if got := w.Result().Trailer.Get("Mailstream-" + name); got != want {
			t.Errorf("trailer %s is %q, want %s", name, got, want)
		}
	}
}

func TestStream_OnlyTheSuppressedWhereAsked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var in strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&in, "{\"address\":\"u%d@example.com\"}\n", i)
		if i%1000 == 999 {
			f.put(object{"address": fmt.Sprintf("u%d@example.com", i)})
			in.WriteString("nonsense\n")
		}
	}
	f.follower.lag = time.Minute
	w := f.do("POST", streamPath+"?suppressed_only=true", in.String())
	got := decodeStreamed(t, w.Body.String())
	if len(got) != 10 {
		t.Fatalf("%d lines:\n%s", len(got), w.Body)
	}
	for i, g := range got {
		if i%2 == 0 && (g.Address != fmt.Sprintf("u%d@example.com", i/2*1000+999) || !g.Stale) || i%2 == 1 && g.Line != i/2*1001+1001 {
			t.Errorf("line %d: %+v", i, g)
		}
	}
}

func TestStream_RefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for query, want := range map[string]string{
		"?streams=x": "unknown parameter", "?stream=a&stream=b": "given 2 times", "?stream=": "stream is empty", "?list=": "list is empty",
		"?suppressed_only=perhaps": "neither true nor false", "?min_token=nonsense": "not a token", "?min_token=": "min_token is empty",
		"?stream=" + strings.Repeat("x", 300): "longer than 254",
	} {
		if w := f.do("POST", streamPath+query, "{}\n"); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.40s: %d %s, want %q", query, w.Code, w.Body, want)
		}
	}
	r := httptest.NewRequest("POST", streamPath, strings.NewReader(`{"addresses":[]}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "application/x-ndjson") {
		t.Errorf("JSON: %d %s", w.Code, w.Body)
	}
	if w := f.do("GET", streamPath, ""); w.Code != 405 {
		t.Errorf("GET: %d", w.Code)
	}
}

// piped is a listener of one connection in memory.
type piped struct{ conns chan net.Conn }

func (p piped) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p piped) Close() error   { return nil }
func (p piped) Addr() net.Addr { return &net.TCPAddr{} }

// dialStream serves f on one connection and returns its other end.
func dialStream(t *testing.T, f *fixture) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	l := piped{conns: make(chan net.Conn, 1)}
	l.conns <- there
	srv := &http.Server{Handler: f.api}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		close(l.conns)
		_ = srv.Close()
		_ = here.Close()
		<-done
	})
	return here
}

// TestStream_AnswersALineBeforeTheNextIsSent wants a sender to be able to wait for each
// answer, and to think for a while.
func TestStream_AnswersALineBeforeTheNextIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.put(object{"address": "u3@example.com"})
		conn := dialStream(t, f)
		body, in := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), "POST", "http://mailstream"+streamPath, body)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = request.Write(conn) }() // its end is that of the connection
		var out *bufio.Reader
		for i := range 5 {
			if _, err := fmt.Fprintf(in, "{\"address\":\"u%d@example.com\"}\n{\"addr", i); err != nil { // a part of the next
				t.Fatal(err)
			}
			if out == nil {
				resp, err := http.ReadResponse(bufio.NewReader(conn), request)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				out = bufio.NewReader(resp.Body)
			}
			line, err := out.ReadString('\n')
			if want := fmt.Sprintf(`{"address":"u%d@example.com","suppressed":%t`, i, i == 3); err != nil || !strings.HasPrefix(line, want) {
				t.Fatalf("%q, %v, want %s", line, err, want)
			}
			time.Sleep(50 * time.Second)
			if _, err := fmt.Fprint(in, "ess\":\"x@example.com\"}\n"); err != nil {
				t.Fatal(err)
			}
			if line, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"address":"x@example.com"`) {
				t.Fatalf("%q, %v", line, err)
			}
		}
		_ = in.Close()
		if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
			t.Errorf("at the end: %q, %v", rest, err)
		}
	})
}

// TestStream_HoldsNoMoreThanABatch sends without reading: the replica must stop taking
// lines, and let go of the sender after a minute.
func TestStream_HoldsNoMoreThanABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := dialStream(t, newFixture(t))
		if _, err := io.WriteString(conn, "POST "+streamPath+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began, sent := time.Now(), 0
		lines := []byte(strings.Repeat("{\"address\":\"ana@example.com\"}\n", 100))
		for {
			n, err := conn.Write(lines)
			sent += n
			if err != nil {
				break
			}
		}
		if sent > 1<<20 {
			t.Errorf("%d bytes were taken", sent)
		}
		if took := time.Since(began); took < 30*time.Second || took > 3*time.Minute {
			t.Errorf("let go after %s", took)
		}
	})
}

// TestStream_ASilentSenderIsLetGo wants the place of a sender that is gone.
func TestStream_ASilentSenderIsLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := dialStream(t, newFixture(t))
		if _, err := io.WriteString(conn, "POST "+streamPath+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"address\":\"ana@example.com\"}\n"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(decodeStreamed(t, string(body))) != 1 || time.Since(began) > 2*time.Minute {
			t.Errorf("%q, %v after %s: want one answer and a cut", body, err, time.Since(began))
		}
	})
}

// broken is a store that cannot be read.
type broken struct{ api.Reader }

func (broken) GetAll([]store.Key) (states []schemas.Suppression, err error) {
	return nil, errors.New("disk")
}

// TestStream_AFaultCutsItOff: what is there must not be taken for all.
func TestStream_AFaultCutsItOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.api.Open(api.Backend{Reader: broken{f.store}, Follower: f.follower})
	server := httptest.NewServer(f.api)
	defer server.Close()
	resp, err := server.Client().Post(server.URL+streamPath, "application/x-ndjson", strings.NewReader("{\"address\":\"ana@example.com\"}\n"))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("a stream without its answers ended as if it were whole")
	}
}

func FuzzStream_AnswersEveryLine(f *testing.F) {
	for _, s := range []string{"{\"address\":\"a@b.c\"}\n\n{}", `{"address":"a\u0000"}`, "\r\n{\"address\":\"<a@b.c>\"}", `{"address":""}`} {
		f.Add(s)
	}
	fix := newFixture(f)
	f.Fuzz(func(t *testing.T, in string) {
		w := fix.do("POST", streamPath, in)
		want := strings.Count(in, "\n")
		if !strings.HasSuffix(in, "\n") && strings.Trim(in[strings.LastIndexByte(in, '\n')+1:], "\r\n") != "" {
			want++
		}
		got := decodeStreamed(t, w.Body.String())
		if w.Code != 200 || len(got) != want {
			t.Fatalf("%d: %d answers for %d lines: %q", w.Code, len(got), want, in)
		}
		for i, g := range got {
			if (g.Error == "") != (g.Suppressed != nil) || g.Error != "" && g.Line != i+1 {
				t.Fatalf("answer %d: %+v", i, g)
			}
		}
	})
}
