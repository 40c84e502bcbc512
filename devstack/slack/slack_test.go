package slack

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/servicetest"
)

const patience = time.Minute

func start(t *testing.T) *Server {
	t.Helper()
	return startAt(t, "127.0.0.1:0")
}

func startAt(t *testing.T, addr string) *Server {
	t.Helper()
	s := New(addr)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatalf("run: %v", err)
	}
	return s
}

func post(t *testing.T, s *Server, contentType, body string) (status int, text string, header http.Header) {
	t.Helper()
	resp, err := http.Post(s.WebhookURL(), contentType, strings.NewReader(body))
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestWebhook_AnswersAsSlackDoes(t *testing.T) {
	t.Parallel()
	section := func(n int) string {
		return `{"type":"section","text":{"type":"mrkdwn","text":"` + strings.Repeat("x", n) + `"}}`
	}
	tests := []struct {
		name        string
		contentType string
		body        string
		status      int
		text        string
		kept        int
	}{
		{"text", "application/json", `{"text":"hello"}`, 200, "ok", 1},
		{"text with charset", "application/json; charset=utf-8", `{"text":"hello"}`, 200, "ok", 1},
		{"form", "application/x-www-form-urlencoded", `payload=%7B%22text%22%3A%22hello%22%7D`, 200, "ok", 1},
		{"blocks only", "application/json", `{"blocks":[` + section(3000) + `]}`, 200, "ok", 1},
		{"not json", "application/json", `hello`, 400, "invalid_payload", 0},
		{"not utf-8", "application/json", "{\"text\":\"\xff\"}", 400, "invalid_payload", 0},
		{"empty object", "application/json", `{}`, 400, "no_text", 0},
		{"section too long", "application/json", `{"blocks":[` + section(3001) + `]}`, 400, "invalid_blocks", 0},
		{"unknown block", "application/json", `{"blocks":[{"type":"video"}]}`, 400, "invalid_blocks", 0},
		{"header in markup", "application/json", `{"blocks":[{"type":"header","text":{"type":"mrkdwn","text":"a"}}]}`, 400, "invalid_blocks", 0},
		{"too many blocks", "application/json", `{"blocks":[` + strings.Repeat(section(1)+",", 50) + section(1) + `]}`, 400, "invalid_blocks", 0},
		{"all blocks too long", "application/json", `{"blocks":[` + strings.Repeat(section(2700)+",", 4) + section(2700) + `]}`, 400, "msg_blocks_too_long", 0},
		{"text too long", "application/json", `{"text":"` + strings.Repeat("x", 40_001) + `"}`, 400, "msg_too_long", 0},
		{"body too large", "application/json", `{"text":"` + strings.Repeat("x", 2<<20) + `"}`, 400, "invalid_payload", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			status, text, _ := post(t, s, tt.contentType, tt.body)
			if status != tt.status || text != tt.text || len(s.Messages()) != tt.kept {
				t.Errorf("got %d %q and %d messages, want %d %q and %d", status, text, len(s.Messages()), tt.status, tt.text, tt.kept)
			}
		})
	}
}

func TestFaults_StrikeInOrderThenHeal(t *testing.T) {
	t.Parallel()
	s := start(t)
	if err := s.Order(RateLimited(2, 3), ServerError(1)); err != nil {
		t.Fatal(err)
	}
	want := []int{429, 429, 500, 200}
	var got []int
	for range want {
		status, _, header := post(t, s, "application/json", `{"text":"a"}`)
		got = append(got, status)
		if status == 429 && header.Get("Retry-After") != "3" {
			t.Errorf("Retry-After is %q, want 3", header.Get("Retry-After"))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if s.Posts() != 4 || len(s.Messages()) != 1 {
		t.Errorf("%d posts and %d messages, want 4 and 1", s.Posts(), len(s.Messages()))
	}
}

func TestFaults_OrderedOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	order := func(contentType, body string) int {
		resp, err := http.Post(s.URL()+"faults", contentType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	tests := []struct {
		name              string
		contentType, body string
		want              int
	}{
		{"fine", "application/json", `{"status":503,"times":-1}`, 204},
		{"another type", "text/plain", `{"status":503}`, 415},
		{"unknown field", "application/json", `{"state":503}`, 400},
		{"no such status", "application/json", `{"status":99}`, 400},
	}
	for _, tt := range tests {
		if got := order(tt.contentType, tt.body); got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
	for range 3 {
		if status, _, _ := post(t, s, "application/json", `{"text":"a"}`); status != 503 {
			t.Errorf("status %d, want 503 for ever", status)
		}
	}
}

func TestDrop_EndsTheConnectionWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	if err := s.Order(Fault{Drop: true}); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.WebhookURL(), "application/json", strings.NewReader(`{"text":"a"}`))
	if err == nil {
		resp.Body.Close()
		t.Errorf("answered %d, want no answer", resp.StatusCode)
	}
}

func TestAway_RefusesConnectionsUntilBackOnTheSamePort(t *testing.T) {
	t.Parallel()
	s := startAt(t, servicetest.FreePort(t).Addr) // which no connection takes meanwhile
	addr := s.Addr()
	if err := s.Away(); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Post(s.WebhookURL(), "application/json", strings.NewReader(`{"text":"a"}`)); err == nil {
		resp.Body.Close()
		t.Error("answered while away")
	}
	if err := s.Back(); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := post(t, s, "application/json", `{"text":"a"}`); status != 200 || s.Addr() != addr {
		t.Errorf("status %d on %s, want 200 on %s", status, s.Addr(), addr)
	}
}

func TestWait_ReturnsWhenTheMessagesAreThere(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got := make(chan []Message, 1)
	go func() {
		m, err := s.Wait(ctx, 2)
		if err != nil {
			t.Errorf("wait: %v", err)
		}
		got <- m
	}()
	post(t, s, "application/json", `{"text":"one"}`)
	post(t, s, "application/json", `{"text":"two"}`)
	m := <-got
	if len(m) != 2 || m[0].Text != "one" || m[1].Text != "two" {
		t.Errorf("messages: %+v", m)
	}
}

func TestPage_ShowsWhatOthersWroteAsText(t *testing.T) {
	t.Parallel()
	s := New("127.0.0.1:0")
	hostile := []string{
		`<script>alert(1)</script>`,
		"`<img src=x onerror=alert(1)>`",
		`*<svg onload=alert(1)>*`,
		`&lt;script&gt;alert(2)&lt;/script&gt;`,
		`<javascript:alert(1)|click me>`,
		`"><script>alert(3)</script>`,
	}
	for _, h := range hostile {
		s.keep(Message{Text: h})
		s.keep(Message{Blocks: []Block{
			{Type: "header", Text: &Text{"plain_text", h}},
			{Type: "section", Text: &Text{"mrkdwn", h}, Fields: []Text{{"mrkdwn", h}, {"plain_text", h}}},
			{Type: "context", Elements: []Text{{"mrkdwn", h}}},
		}})
	}
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	body := rec.Body.String()
	for _, bad := range []string{"<script", "<img", "<svg", `href="javascript`, "<a "} {
		if strings.Contains(body, bad) {
			t.Errorf("page has %q", bad)
		}
	}
	for _, want := range []string{"&lt;script&gt;alert(1)", "click me", `http-equiv="refresh"`} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if csp := rec.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy is %q", csp)
	}
}

func TestMessages_AreListedAndCleared(t *testing.T) {
	t.Parallel()
	s := start(t)
	post(t, s, "application/json", `{"text":"one"}`)
	list := func() (texts []string) {
		resp, err := http.Get(s.URL() + "messages")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body struct{ Messages []Message }
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		for _, m := range body.Messages {
			texts = append(texts, m.Text)
		}
		return texts
	}
	if diff := cmp.Diff([]string{"one"}, list()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	req, err := http.NewRequest(http.MethodDelete, s.URL()+"messages", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := list(); len(got) != 0 {
		t.Errorf("messages after clearing: %q", got)
	}
}

func TestMessages_AreBounded(t *testing.T) {
	t.Parallel()
	s := New("127.0.0.1:0")
	for range messagesMax + 5 {
		s.keep(Message{Text: "a"})
	}
	if n := len(s.Messages()); n != messagesMax {
		t.Errorf("%d messages, want %d", n, messagesMax)
	}
}

func FuzzMarkup(f *testing.F) {
	for _, s := range []string{"`a` *b* <c|d> &amp;", "``", "**", "<>", "`*<", "a`b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		for _, sp := range markup(s) {
			if sp.Text == "" {
				t.Error("empty span")
			}
			n += len(sp.Text)
		}
		if n > len(s) {
			t.Errorf("%d bytes became %d", len(s), n)
		}
	})
}
