package ingress

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/ingress/internal/room"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/provider/mailtrap"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/servicetest"
)

const signedSource = "signed"

// withSigned adds a source that the body proves.
func withSigned(cfg Config) Config {
	cfg.Sources = append(cfg.Sources, Source{
		Name: signedSource, Provider: "mailtrap", Auth: auth.Config{SigningKeys: auth.Secrets{config.Literal("key")}},
	})
	return cfg
}

// begin sends the head and the first bytes of a request of 4,000 bytes to the
// signed source.
func (h *harness) begin(header string) net.Conn {
	h.tb.Helper()
	conn, err := new(net.Dialer).DialContext(h.tb.Context(), "tcp", h.Addr())
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 4000\r\n\r\n{", Prefix+signedSource, header)
	return conn
}

// TestIngress_AStalledBodyMakesPlace fills the room of the unproven with stalled
// bodies and wants genuine requests taken.
func TestIngress_AStalledBodyMakesPlace(t *testing.T) {
	t.Parallel()
	cfg := withSigned(testConfig())
	cfg.RequestsInFlightMax = 16 // 8 of them for the unproven, 4 of a source, 2 of a peer
	cfg.TrustedProxies = []string{"127.0.0.1"}
	h := start(t, cfg, kafkatest.Start(t))
	var stalled []net.Conn
	for peer := range 4 { // one after the other: the first one is the oldest in the room, too
		stalled = append(stalled, h.begin(fmt.Sprintf("X-Forwarded-For: 2001:db8:0:%d::1\r\n", peer)))
		servicetest.Eventually(t, "the stalled body is being received", func() bool { return h.held().Requests == int64(peer+1) })
	}
	const body = `{"events":[{"event":"delivery","message_id":"m","email":"ana@example.com","timestamp":1772615701,"event_id":"e"}]}`
	genuine := call{path: Prefix + signedSource, body: body, noAuth: true, header: map[string]string{mailtrap.SignatureHeader: webhooksign.Hex("key", []byte(body))}}
	for range 8 {
		wantStatus(t, h.do(genuine), http.StatusOK)
		wantStatus(t, h.post(bounceItem), http.StatusOK)
	}
	resp, err := http.ReadResponse(bufio.NewReader(stalled[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !resp.Close {
		t.Errorf("the one that made place is answered %d %v", resp.StatusCode, resp.Header)
	}
	if n := h.metric("mailstream_ingress_room_refused_requests_total", "share", string(room.Evicted)); n != 1 {
		t.Errorf("%g requests are counted as evicted, want 1: its peer is known then", n)
	}
}

// TestIngress_TinyMembersAreCounted sends bodies whose index is five times as
// large as they are to a source of everybody.
func TestIngress_TinyMembersAreCounted(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.AllowUnauthenticated = true
	cfg.BodyBytesInFlightMax = 16 * config.MiB // 2 MiB for an unproven peer
	cfg.Sources = append(cfg.Sources, Source{Name: "open", Provider: "mailjet", Auth: auth.Config{None: true}})
	h := start(t, cfg, kafkatest.Start(t))
	entry := room.Entry{Source: h.sources["open"].room, Body: new(exchange), Bytes: 1 << 20}
	var other room.Stay // somebody else, so that the request is not alone
	entry.Peer = h.sources["open"].guard.Peer(&http.Request{RemoteAddr: h.Addr()})
	if err := h.room.Enter(&other, entry); err != nil {
		t.Fatal(err)
	}
	if err := other.Received(); err != nil {
		t.Fatal(err)
	}
	got := h.do(call{path: Prefix + "open", noAuth: true, body: "{" + strings.Repeat(`"":0,`, 100_000) + `"event":"sent"}`})
	wantStatus(t, got, http.StatusServiceUnavailable)
	if !strings.Contains(got.Body, "too many bytes") {
		t.Errorf("body %s", got.Body)
	}
	other.Leave()
	servicetest.Eventually(t, "everything is given back", func() bool { return h.held() == room.Amount{} })
}
