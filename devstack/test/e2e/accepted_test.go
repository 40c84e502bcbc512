package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// wordsOf are values at and beyond the edges of what the API may take.
func wordsOf() map[string][]any {
	long := strings.Repeat("x", 255)
	return map[string][]any{
		"expires": {
			nil, "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "9998-12-31T00:00:00Z", "2106-02-07T06:28:15Z", "2106-02-07T06:28:15.999Z",
			"2106-02-07T06:28:15+14:00", "2106-02-07T06:28:16Z", "2106-02-07", "2105-12-31T23:59:59.999999999-12:00", "2030-01-01", "2000-01-01T00:00:00Z",
			"1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2030-02-30", "", 0, true,
		},
		"note": {
			"", "why", "two\nlines\tand a tab", "\x00", "\u001b[31m", "\u2028", "\ufffd", "\U0010ffff", "<>&\"'\\", strings.Repeat("ä", 500), strings.Repeat("ä", 501),
			strings.Repeat("<", 1000), "{}", "null", nil, 1,
		},
		"stream": {"", "marketing", "a b", "\n", long, long[1:], "ünï", "\x7f", "a:b", "a,b", "'; DROP TABLE x", nil},
		"list":   {"", "17", "<news.example.com>", "\r", strings.Repeat("l", 5000), "a\tb"},
		"scope":  {"", "account", "stream:x", "list:1", "stream:", "list:\x00", "world", "stream:" + long, "stream:" + long[1:]},
		"reason": {"", "manual", "hard_bounce", "soft_bounce", "complaint", "unsubscribe", "provider_suppressed", "dislike", "MANUAL"},
	}
}

func addressesOf(n int) []string {
	local := []string{
		"%d", "A%d", "a+%d", "o'hara%d", "x..%d", ".%d", `"a b%d"`, `"a@%d"`, "ü%d", strings.Repeat("v", 200) + "%d", "*%d", "mailto:%d", "a,%d", "a%%%d", "{%d}", "\x00%d", "\u202e%d",
	}
	domain := []string{
		"example.com", "EXAMPLE.com.", "bücher.example", "xn--bcher-kva.example", "googlemail.com", "gmail.com", "[192.0.2.1]", "a_b.example", "localhost",
		"*.example.com", "exa mple.com", "-.example", strings.Repeat("d.", 120) + "example", strings.Repeat("d", 64) + ".example", "例え.テスト",
	}
	form := []string{"%s", "%s", "<%s>", "Ana <%s>", `"B, A" <%s>`, "%s,b@example.com", " %s "}
	out := make([]string, 0, n)
	for i := range n {
		address := fmt.Sprintf(local[rand.IntN(len(local))], i) + "@" + domain[rand.IntN(len(domain))]
		out = append(out, fmt.Sprintf(form[rand.IntN(len(form))], address))
	}
	return out
}

// TestAccepted_IsNeverDeadLettered sends random writes and wants whatever was
// answered 200 to be a row, and nothing to be a dead letter.
func TestAccepted_IsNeverDeadLettered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.stack.URL(pipeline.Suppression) + "/v1/suppressions"
	words := wordsOf()
	accepted, refused := map[string]bool{}, 0
	for i, address := range addressesOf(600) {
		request := map[string]any{"address": address}
		for name, values := range words {
			if rand.IntN(3) == 0 {
				request[name] = values[rand.IntN(len(values))]
			}
		}
		body, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		status, text := w.call(http.MethodPut, url, string(body), bearer)
		switch status {
		case http.StatusOK:
			accepted[address] = true
		case http.StatusBadRequest:
			refused++
		default:
			t.Fatalf("request %d answered %d %s: %s", i, status, text, body)
		}
		if status == http.StatusOK && i%5 == 0 {
			body := jsonOf(t, map[string]any{"address": address, "note": "later", "consent": true})
			if status, text := w.call(http.MethodPost, url+"/remove", body, bearer); status != http.StatusOK {
				t.Fatalf("remove answered %d %s: %s", status, text, body)
			}
		}
	}
	if len(accepted) < 20 || refused < 20 {
		t.Fatalf("%d accepted and %d refused: the words are no test", len(accepted), refused)
	}
	hashes := map[string]bool{}
	for _, rec := range w.records(w.prefix + "suppressions") {
		hashes[string(rec.Key)] = true
		var s schemas.Suppression
		if err := json.Unmarshal(rec.Value, &s); err != nil || s.Hash != string(rec.Key) {
			t.Errorf("record of %s: %v", rec.Key, err)
		}
	}
	w.wantSQL("SELECT uniqExact(recipient_hash) FROM suppressions", fmt.Sprint(len(hashes)))
	if dead := w.records(schemas.DeadLetterTopic(w.prefix)); len(dead) != 0 {
		t.Errorf("%d dead letters, the first: %s", len(dead), dead[0].Value)
	}
	if rows := w.sql("SELECT toString(expires_at) FROM suppressions WHERE expires_at > '2106-02-08'"); len(rows) != 0 {
		t.Errorf("never became a date: %q", rows[:min(len(rows), 3)])
	}
	t.Logf("%d accepted, %d refused, %d people", len(accepted), refused, len(hashes))
}

// TestGooglemail_IsOnePersonFromWebhookToCheck reports one spelling and asks for
// the other.
func TestGooglemail_IsOnePersonFromWebhookToCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(http.StatusOK, fmt.Sprintf(`{"event":"spam","time":%d,"MessageID":1,"email":"Ana.Test@googlemail.com","source":"JMRPP"}`, time.Now().Unix()))
	servicetest.EventuallyOr(w.t, func() bool { return len(w.check("marketing", "ana.test@gmail.com")) == 1 }, func() string { return "gmail.com is not suppressed" })
	if found := w.check("marketing", "ana.test@googlemail.com", "anatest@gmail.com"); len(found) != 1 {
		t.Errorf("suppressed: %v", found)
	}
	// Mail goes where the sender said.
	w.wantSQL("SELECT recipient, recipient_domain FROM events WHERE type = 'complained'", "Ana.Test@googlemail.com\tgooglemail.com")
}
