package unsubscribe

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// door is a handler whose events are kept.
type door struct {
	*Handler
	tb     testing.TB
	events []schemas.Event
	fail   error
}

func newDoor(tb testing.TB) *door {
	tb.Helper()
	d := &door{tb: tb}
	cfg := Default()
	cfg.PublicURL, cfg.SigningKeys = "https://hooks.example.com", []config.Secret{config.Literal(testKey)}
	cfg.Sender, cfg.Lists = "Shop <& Söhne>", map[string]string{"weekly": "Weekly <b>news</b>"}
	h, err := New(cfg, Options{
		Publish: func(_ context.Context, it *provider.Item) error {
			if d.fail == nil {
				d.events = append(d.events, it.Event)
			}
			return d.fail
		},
		RetryAfter: "5", Log: zap.NewNop(), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	d.Handler = h
	return d
}

func (d *door) token(m Mail) string {
	d.tb.Helper()
	token, err := Token(testKey, m)
	if err != nil {
		d.tb.Fatal(err)
	}
	return token
}

// do asks, with a form of the media type, or none where it is "".
func (d *door) do(method, token, media, form string) *http.Response {
	d.tb.Helper()
	r := httptest.NewRequestWithContext(d.tb.Context(), method, Prefix+token, strings.NewReader(form))
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result()
}

func (d *door) post(m Mail, form string) int {
	d.tb.Helper()
	return d.do(http.MethodPost, d.token(m), "application/x-www-form-urlencoded", form).StatusCode
}

var weekly = Mail{Recipient: "ana@example.com", List: "weekly", MessageID: "m-1", Campaign: "spring"}

const oneClickForm = "List-Unsubscribe=One-Click"

func TestHandler_OneClickIsAnEvent(t *testing.T) {
	t.Parallel()
	multipart := "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n"
	for media, form := range map[string]string{
		"application/x-www-form-urlencoded": oneClickForm, "multipart/form-data; boundary=x": multipart,
	} {
		d := newDoor(t)
		if got := d.do(http.MethodPost, d.token(weekly), media, form).StatusCode; got != http.StatusOK {
			t.Errorf("%s: status %d", media, got)
		}
		if len(d.events) != 1 {
			t.Fatalf("%s: %d events", media, len(d.events))
		}
		e := d.events[0]
		e.Time, e.Raw = time.Time{}, nil
		want := schemas.Event{
			Type: schemas.Unsubscribed, ProviderEvent: "one_click", Recipient: "ana@example.com", ListID: "weekly", MessageID: "m-1", Campaign: "spring",
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("%s (-want +got):\n%s", media, diff)
		}
	}
}

// Scanners follow links, and may send what they like but the form.
func TestHandler_NothingButTheFormChangesAnything(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		method, media, body string
		status              int
	}{
		"get":                   {http.MethodGet, "", "", http.StatusOK},
		"get with the form":     {http.MethodGet, form, oneClickForm, http.StatusOK},
		"head":                  {http.MethodHead, "", "", http.StatusOK},
		"options":               {http.MethodOptions, "", "", http.StatusMethodNotAllowed},
		"put":                   {http.MethodPut, form, oneClickForm, http.StatusMethodNotAllowed},
		"post of nothing":       {http.MethodPost, "", "", http.StatusBadRequest},
		"post of another form":  {http.MethodPost, form, "a=b", http.StatusBadRequest},
		"post of another value": {http.MethodPost, form, "List-Unsubscribe=One-click", http.StatusBadRequest},
		"post of JSON":          {http.MethodPost, "application/json", `{"choice":"leave"}`, http.StatusBadRequest},
		"post of two choices":   {http.MethodPost, form, "choice=leave&choice=leave_all", http.StatusBadRequest},
		"post of no choice":     {http.MethodPost, form, "choice=one_click", http.StatusBadRequest},
		"post of too much":      {http.MethodPost, form, oneClickForm + "&x=" + strings.Repeat("x", bodyBytesMax), http.StatusBadRequest},
		"broken multipart":      {http.MethodPost, "multipart/form-data; boundary=x", "--x\r\n", http.StatusBadRequest},
		"no boundary":           {http.MethodPost, "multipart/form-data", oneClickForm, http.StatusBadRequest},
	} {
		d := newDoor(t)
		if got := d.do(c.method, d.token(weekly), c.media, c.body).StatusCode; got != c.status {
			t.Errorf("%s: status %d, want %d", name, got, c.status)
		}
		if len(d.events) > 0 {
			t.Errorf("%s: made an event", name)
		}
	}
	d := newDoor(t)
	if got := d.do(http.MethodPost, d.token(weekly)+"x", form, oneClickForm).StatusCode; got != http.StatusNotFound || len(d.events) > 0 {
		t.Errorf("a wrong token: status %d, %d events", got, len(d.events))
	}
}

func TestHandler_TheChoicesOfThePage(t *testing.T) {
	t.Parallel()
	stream := Mail{Recipient: "ana@example.com", Stream: "marketing"}
	for name, c := range map[string]struct {
		mail         Mail
		choice       choice
		typ          schemas.Type
		list, stream string
	}{
		"leave a list":    {weekly, leave, schemas.Unsubscribed, "weekly", ""},
		"leave a stream":  {stream, leave, schemas.Unsubscribed, "", "marketing"},
		"leave all":       {weekly, leaveAll, schemas.Unsubscribed, "", ""},
		"undo":            {weekly, rejoin, schemas.Subscribed, "weekly", ""},
		"undo all":        {weekly, rejoinToAll, schemas.Subscribed, "", ""},
		"undo the stream": {stream, rejoin, schemas.Subscribed, "", "marketing"},
	} {
		d := newDoor(t)
		if got := d.post(c.mail, "choice="+string(c.choice)); got != http.StatusOK || len(d.events) != 1 {
			t.Fatalf("%s: status %d, %d events", name, got, len(d.events))
		}
		e := d.events[0]
		if e.Type != c.typ || e.ListID != c.list || e.Metadata[schemas.MetadataStream] != c.stream {
			t.Errorf("%s: %s of list %q and stream %q", name, e.Type, e.ListID, e.Metadata)
		}
	}
}

func TestHandler_ARepeatIsNoNewEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		steps := []struct {
			form   string
			wait   time.Duration
			events int
		}{
			{oneClickForm, 0, 1},
			{oneClickForm, 10 * time.Second, 1},
			{"choice=leave", 0, 1}, // the page says the same
			{"choice=subscribe", 0, 2},
			{oneClickForm, 0, 3}, // a new decision
			{oneClickForm, recentFor, 4},
		}
		for i, s := range steps {
			time.Sleep(s.wait)
			if got := d.post(weekly, s.form); got != http.StatusOK || len(d.events) != s.events {
				t.Errorf("step %d: status %d, %d events, want %d", i, got, len(d.events), s.events)
			}
		}
		other := weekly
		other.Recipient = "bo@example.com"
		if d.post(other, oneClickForm); len(d.events) != 5 {
			t.Error("another person's choice was taken for a repeat")
		}
	})
}

func TestRecent_HoldsNoMoreThanItsBound(t *testing.T) {
	t.Parallel()
	r, now := newRecent(10), time.Now()
	for i := range 1000 {
		r.add(Mail{Recipient: string(rune('a' + i))}, leave, now)
		if n := len(r.young) + len(r.former); n > 20 {
			t.Fatalf("%d are remembered", n)
		}
	}
}

func TestHandler_WhatIsNotStoredIsNotSaidToBe(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.fail = errors.New("kafka is away")
	resp := d.do(http.MethodPost, d.token(weekly), "application/x-www-form-urlencoded", oneClickForm)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "5" {
		t.Errorf("status %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	d.fail = nil
	if got := d.post(weekly, oneClickForm); got != http.StatusOK || len(d.events) != 1 {
		t.Errorf("afterwards: status %d, %d events", got, len(d.events))
	}
}

// The page shows what the configuration and the link say as text, gives nothing away,
// and its form leads to the choices.
func TestPage_IsTextAndKeepsTheAddress(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	mail := Mail{Recipient: `"<script>alert(1)</script>"@example.com`, List: "weekly"}
	for _, m := range []Mail{weekly, mail, {Recipient: "ana@example.com"}} {
		resp := d.do(http.MethodGet, d.token(m), "", "")
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		page := string(text)
		if strings.Contains(page, "<script") || strings.Contains(page, "<b>") || strings.Contains(page, m.Recipient) {
			t.Errorf("the page holds markup or the whole address: %s", page)
		}
		if strings.Contains(page, "leave_all") != (m.List != "") || !strings.Contains(page, `value="leave"`) {
			t.Errorf("choices for list %q: %s", m.List, page)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
		_, style, _ := strings.Cut(page, "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		sum := sha256.Sum256([]byte(style)) // a browser shows no style of another hash
		want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"
		if policy := resp.Header.Get("Content-Security-Policy"); style == "" || !strings.HasPrefix(policy, want) || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q, want %s", policy, want)
		}
	}
}

func FuzzChosen(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", []byte(oneClickForm))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"choice\"\r\n\r\nleave\r\n--x--\r\n"))
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		c, ok := chosen(strings.NewReader(string(body)), media)
		if ok && c != clickOne && c != leave && c != leaveAll && !c.undoes() {
			t.Errorf("chose %q", c)
		}
		if form, err := url.ParseQuery(string(body)); ok && err == nil && strings.HasPrefix(media, "application/x") && len(form) == 0 {
			t.Error("an empty form chose")
		}
	})
}
