package ingress

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

func zipped(tb testing.TB, body string) string {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, body); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// TestIngress_WhatBadInputGets is the table of what goes in and what comes out.
// Nothing of it may reach a topic.
func TestIngress_WhatBadInputGets(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.BodyBytesMax = 64 * config.KiB
	cfg.ItemsMax = 100
	cfg.Sources = append(cfg.Sources,
		Source{Name: "by-path", Provider: "mailjet", Auth: auth.Config{Path: auth.Secrets{config.Literal("path-secret")}}},
		Source{Name: "forms", Provider: "activecampaign", Auth: auth.Config{None: true}},
		Source{Name: "drops-at-4xx", Provider: "postmark", Auth: auth.Config{None: true}},
		Source{Name: "from-afar", Provider: "mailjet", Auth: auth.Config{None: true}, AllowFrom: []string{"203.0.113.0/24"}})
	cfg.AllowUnauthenticated = true
	h := start(t, cfg, kafkatest.Start(t))
	gz := map[string]string{"Content-Encoding": "gzip"}
	unknown := Prefix + "nobody"
	for _, tt := range []struct {
		name   string
		call   call
		status int
		detail string // part of the problem's detail
		header [2]string
	}{
		{"empty body", call{body: ""}, 400, "at byte 0", [2]string{}},
		{"not JSON", call{body: "event=sent&email=ana%40example.com"}, 400, "at byte 0", [2]string{}},
		{"the official bounce sample, a comma short", call{body: `{"event":"bounce","error":"user unknown" "comment":"x"}`}, 400, "at byte 41", [2]string{}},
		{"cut off", call{body: bounceItem[:100]}, 400, "at byte 100", [2]string{}},
		{"text after the end", call{body: bounceItem + "x"}, 400, fmt.Sprint("at byte ", len(bounceItem)), [2]string{}},
		{"two objects", call{body: bounceItem + bounceItem}, 400, fmt.Sprint("at byte ", len(bounceItem)), [2]string{}},
		{"a string", call{body: `"sent"`}, 400, "neither an object nor an array", [2]string{}},
		{"a number", call{body: `42`}, 400, "neither an object nor an array", [2]string{}},
		{"null", call{body: `null`}, 400, "neither an object nor an array", [2]string{}},
		{"raw control character", call{body: "{\"event\":\"se\nnt\"}"}, 400, "at byte 12", [2]string{}},
		{"deep nesting", call{body: strings.Repeat("[", 60_000)}, 400, "too deep", [2]string{}},
		{"deep nesting in an item", call{body: `{"Payload":` + strings.Repeat(`{"a":`, 10_000)}, 400, "too deep", [2]string{}},
		{"too many items", call{body: group(`{}`, 101)}, 413, "too many items", [2]string{}},
		{"body over the limit", call{body: strings.Repeat(" ", 64<<10+1)}, 413, "64KiB", [2]string{"Connection", "close"}},
		{"zip bomb", call{body: zipped(t, strings.Repeat(" ", 10<<20)), header: gz}, 413, "64KiB", [2]string{"Connection", "close"}},
		{"zip bomb of brackets", call{body: zipped(t, strings.Repeat("[", 60<<10)), header: gz}, 400, "too deep", [2]string{}},
		{"gzip that is none", call{body: bounceItem, header: gz}, 400, "not what its headers say", [2]string{}},
		{"gzip cut off", call{body: zipped(t, bounceItem)[:60], header: gz}, 400, "not what its headers say", [2]string{}},
		{"brotli", call{body: "x", header: map[string]string{"Content-Encoding": "br"}}, 415, "gzip", [2]string{"Accept-Encoding", "gzip"}},
		{"brotli of a provider that drops events at a 415", call{path: Prefix + "drops-at-4xx", body: "x", header: map[string]string{"Content-Encoding": "br"}}, 503, "gzip", [2]string{"Accept-Encoding", "gzip"}},
		{"a form that is too long once it is JSON", call{path: Prefix + "forms", body: "type=open&contact%5Bemail%5D=a%40b.example&x=" + strings.Repeat("%00", 20_000)}, 413, "too long", [2]string{}},
		{"no credentials", call{body: bounceItem, noAuth: true}, 401, "missing or wrong", [2]string{"WWW-Authenticate", `Basic realm="mailstream", charset="UTF-8"`}},
		{"wrong password", call{body: bounceItem, header: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("hook:wrong"))}}, 401, "missing or wrong", [2]string{}},
		{"wrong credentials and a bad body", call{body: "x", noAuth: true}, 401, "missing or wrong", [2]string{}},
		{"wrong path secret", call{path: Prefix + "by-path/wrong", body: bounceItem, noAuth: true}, 401, "missing or wrong", [2]string{}},
		{"no path secret", call{path: Prefix + "by-path", body: bounceItem, noAuth: true}, 401, "missing or wrong", [2]string{}},
		{"from a strange address", call{path: Prefix + "from-afar", body: bounceItem, noAuth: true}, 401, "missing or wrong", [2]string{}},
		{"a claimed address", call{path: Prefix + "from-afar", body: bounceItem, noAuth: true, header: map[string]string{"X-Forwarded-For": "203.0.113.7"}}, 401, "missing or wrong", [2]string{}},
		{"unknown source", call{path: unknown, body: bounceItem}, 404, "no source", [2]string{}},
		{"no source", call{path: Prefix, body: bounceItem}, 404, "no source", [2]string{}},
		{"a path behind the source", call{path: Prefix + testSource + "/x", body: bounceItem}, 404, "no source", [2]string{}},
		{"elsewhere", call{path: "/", body: bounceItem}, 404, "SOURCE", [2]string{}},
		{"PUT", call{method: http.MethodPut, body: bounceItem}, 405, "posted", [2]string{"Allow", "POST, GET, HEAD"}},
		{"DELETE", call{method: http.MethodDelete}, 405, "posted", [2]string{"Allow", "POST, GET, HEAD"}},
		{"GET of an unknown source", call{method: http.MethodGet, path: unknown}, 404, "no source", [2]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := h.do(tt.call)
			wantStatus(t, got, tt.status)
			if !strings.Contains(got.Body, tt.detail) {
				t.Errorf("body %s, want %q in it", got.Body, tt.detail)
			}
			if tt.header[0] == "Connection" {
				if !got.Close {
					t.Error("the connection stays open")
				}
			} else if tt.header[0] != "" && got.Header.Get(tt.header[0]) != tt.header[1] {
				t.Errorf("header %s is %q, want %q", tt.header[0], got.Header.Get(tt.header[0]), tt.header[1])
			}
			var problem struct{ Title string }
			if json.Unmarshal([]byte(got.Body), &problem) != nil || problem.Title == "" || strings.Contains(got.Body, "example.com") {
				t.Errorf("body %s is no problem, or says too much", got.Body)
			}
		})
	}
	if events := h.events(); len(events) != 0 || len(h.deadLetters()) != 0 {
		t.Errorf("%d events and %d dead letters were published", len(events), len(h.deadLetters()))
	}
	if all, unproven := h.room.Held(); all != (room.Amount{}) || unproven != (room.Amount{}) {
		t.Errorf("%+v and %+v are in flight after the last", all, unproven)
	}
}

func TestIngress_ProbesAndEmptyBatchesGet200(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Sources = append(cfg.Sources, Source{Name: "by-path", Provider: "mailjet", Auth: auth.Config{Path: auth.Secrets{config.Literal("path-secret")}}})
	h := start(t, cfg, kafkatest.Start(t))
	const nothing = `{"accepted":0,"dead_lettered":0}` + "\n"
	for _, tt := range []struct {
		name string
		call call
		body string
	}{
		{"GET", call{method: http.MethodGet, noAuth: true}, nothing},
		{"HEAD", call{method: http.MethodHead, noAuth: true}, ""},
		{"GET with a path secret", call{method: http.MethodGet, path: Prefix + "by-path/path-secret", noAuth: true}, nothing},
		{"empty array", call{body: "[]"}, nothing},
		{"empty array in white space", call{body: " [ \r\n] "}, nothing},
		{"empty array, zipped", call{body: zipped(t, "[]"), header: map[string]string{"Content-Encoding": "gzip"}}, nothing},
		{"path secret", call{path: Prefix + "by-path/path-secret", body: "[]", noAuth: true}, nothing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := h.do(tt.call)
			wantStatus(t, got, http.StatusOK)
			if got.Body != tt.body {
				t.Errorf("body %q, want %q", got.Body, tt.body)
			}
		})
	}
}

func TestIngress_ASlowBodyGets408AndFreesItsMemory(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.BodyRateWindow = time.Second
	h := start(t, cfg, kafkatest.Start(t))
	for _, tt := range []struct{ name, head, body string }{
		{"known length", "Content-Length: 100\r\n", `[{"event":`},
		{"chunked", "Transfer-Encoding: chunked\r\n", "5\r\n[1234\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", h.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			credentials := base64.StdEncoding.EncodeToString([]byte(testUser + ":" + testPassword))
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n%s\r\n%s", Prefix+testSource, credentials, tt.head, tt.body)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusRequestTimeout {
				t.Errorf("status %d, want 408", resp.StatusCode)
			}
		})
	}
	servicetest.Eventually(t, "bytes in flight are freed", func() bool { return h.held() == room.Amount{} })
}

// TestIngress_PromisesTakeNoRoom holds the room for bodies against requests that
// promise large ones and send nothing.
func TestIngress_PromisesTakeNoRoom(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.BodyBytesInFlightMax = cfg.BodyBytesMax
	h := start(t, cfg, kafkatest.Start(t))
	credentials := base64.StdEncoding.EncodeToString([]byte(testUser + ":" + testPassword))
	for range 20 {
		conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", h.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n[", Prefix+testSource, credentials, cfg.BodyBytesMax)
	}
	servicetest.Eventually(t, "all of them are being read", func() bool { return h.held().Requests == 20 })
	wantStatus(t, h.post(bounceItem), http.StatusOK)
	large := group(sentItem, 1000)
	wantStatus(t, h.post(large), http.StatusOK)
	if n := len(h.events()); n != 1001 {
		t.Errorf("%d events, want 1001", n)
	}
}

// held is what all requests hold.
func (h *harness) held() room.Amount {
	all, _ := h.room.Held()
	return all
}

func TestIngress_OneBadItemIsDeadLetteredAndTheGoodOnesPublished(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	bad := []string{`{"event":"sent" , "time":1767225600}`, `"text"`, `[1, 2]`, `{"email":"ana@example.com"}`}
	got := h.post("[" + sentItem + ",\n" + strings.Join(bad, " ,") + "," + bounceItem + "]")
	wantStatus(t, got, http.StatusOK)
	if got.Body != `{"accepted":2,"dead_lettered":4}`+"\n" {
		t.Errorf("body %q", got.Body)
	}
	if n := len(h.events()); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	reasons := map[string]string{}
	for _, d := range h.deadLetters() {
		reasons[string(d.Bytes)] = d.Reason
		if d.Service != "ingress" || d.Source != testSource || d.Provider != "mailjet" || d.Detail == "" || d.ReceivedAt.IsZero() {
			t.Errorf("dead letter %+v", d)
		}
	}
	for i, want := range []string{"no_identity", "not_an_object", "not_an_object", "no_type"} {
		if reasons[bad[i]] != want {
			t.Errorf("the reason of %s is %q, want %q", bad[i], reasons[bad[i]], want)
		}
	}
	again := h.post("[" + strings.Join(bad, ",") + "]")
	wantStatus(t, again, http.StatusOK)
	ids := map[string]bool{}
	for _, d := range h.deadLetters() {
		ids[d.ID] = true
	}
	if len(ids) != len(bad) {
		t.Errorf("%d ids of dead letters after a repeat, want %d", len(ids), len(bad))
	}
}

func TestIngress_TheUnknownGoesToOtherAndKeepsItsBytes(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	item := `{"event":"list_merge","time":1767225600,"MessageID":1,"email":"ana@example.com","brand_new":{"a":[1,2.50]}}`
	wantStatus(t, h.post(item), http.StatusOK)
	events := h.events(schemas.Other)
	if len(events) != 1 || string(events[0].Raw) != item || events[0].ProviderEvent != "list_merge" {
		t.Fatalf("events %+v", events)
	}
	for kind, want := range map[string]float64{"unknown_event": 1, "unknown_field": 1, "bad_time": 0} {
		if got := h.metric("mailstream_ingress_drift_total", "kind", kind); got != want {
			t.Errorf("drift of %s is %v, want %v", kind, got, want)
		}
	}
	for _, path := range []string{"brand_new", "list_merge"} {
		if got := h.metric("mailstream_ingress_drift_paths_total", "path", path); got != 1 {
			t.Errorf("drift of %s is %v, want 1", path, got)
		}
	}
}

func TestIngress_AnEventTooLargeForItsTopicIsDeadLetteredWhole(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	large := strings.Replace(sentItem, "tenant=t-9", strings.Repeat("x", 1<<20), 1)
	got := h.post("[" + large + "," + bounceItem + "]")
	wantStatus(t, got, http.StatusOK)
	if got.Body != `{"accepted":1,"dead_lettered":1}`+"\n" {
		t.Errorf("body %q", got.Body)
	}
	dead := h.deadLetters()
	if len(dead) != 1 || dead[0].Reason != "too_large" || string(dead[0].Bytes) != large {
		t.Errorf("%d dead letters", len(dead))
	}
}

func TestIngress_TheLargestBodyFits(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	most := int(h.cfg.BodyBytesMax)
	large := strings.Replace(sentItem, "tenant=t-9", strings.Repeat("x", most-len(sentItem)+len("tenant=t-9")), 1)
	if len(large) != most {
		t.Fatalf("%d bytes, want %d", len(large), most)
	}
	wantStatus(t, h.post(large), http.StatusOK)
	if dead := h.deadLetters(); len(dead) != 1 || string(dead[0].Bytes) != large {
		t.Errorf("%d dead letters", len(dead))
	}
}
