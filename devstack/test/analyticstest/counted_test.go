package analyticstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// dimensions are those that alerting takes for a rule, as it says itself.
func dimensions(t *testing.T) []string {
	t.Helper()
	_, _, err := pipeline.Load(pipeline.Input{File: []byte("{alerting: {rules: [{name: r, metric: bounce_rate, by: [none]}]}}"), Name: "test", Services: []pipeline.Name{pipeline.Alerting}})
	m := regexp.MustCompile(`dimensions of bounce_rate \(([a-z_, ]+)\)`).FindStringSubmatch(fmt.Sprint(err))
	if m == nil {
		t.Fatalf("alerting does not name the dimensions: %v", err)
	}
	page, err := os.ReadFile("../../../docs/rules/README.md")
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Split(m[1], ", ")
	for _, name := range list {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/rules does not name the dimension %s", name)
		}
	}
	return list
}

// TestConsole_SaysOfEachDimensionWhereAnEventCounted has an incident by each dimension that
// a rule may have, of the value of an event and of another one, alone and within a source:
// the timelines of the person and of the message name those that counted it.
func TestConsole_SaysOfEachDimensionWhereAnEventCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms}`)
	w.analytics(t)
	console := w.consoleBeside(t, `, alerting: {rules: [{name: plain, metric: bounce_rate, by: [campaign], window: 1h}, {name: news, metric: bounce_rate, by: [campaign], window: 1h, match: {stream: [news]}}, {name: other, metric: bounce_rate, by: [campaign], window: 1h, match: {stream: ["!news"]}}]}`)
	at := time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Millisecond)
	e := eventAt(1, schemas.Bounced, at)
	e.Campaign, e.SendingIP, e.SendingDomain, e.IPPool, e.Tags, e.Metadata = "spring", "192.0.2.7", "mail.example.com", "bulk", []string{"invoice", "it's"}, map[string]string{"stream": "news"}
	w.publish(t, e)
	w.wantSQL(t, "SELECT count() FROM events", "1")

	values := map[string]string{
		"recipient_domain": e.RecipientDomain, "mailbox_provider": e.MailboxProvider, "source": e.Source, "campaign": e.Campaign, "sending_ip": e.SendingIP,
		"sending_domain": e.SendingDomain, "ip_pool": e.IPPool, "tag": "it's", "all": "all",
	}
	var rows []string
	incident := func(id, rule string, labels map[string]string) {
		row, err := json.Marshal(map[string]any{
			"fingerprint": id, "incident": id, "version": 1, "rule": rule, "labels": labels, "state": "firing", "window": "1h0m0s",
			"since": at.Add(10 * time.Minute).Format(time.DateTime), "updated_at": at.Add(time.Hour).Format(time.DateTime),
		})
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, string(row))
	}
	var want []string
	for _, name := range dimensions(t) {
		value, known := values[name]
		if !known {
			t.Errorf("the test has no value of %s", name)
		}
		incident("with-"+name, "plain", map[string]string{name: value})
		incident("without-"+name, "plain", map[string]string{name: value + " not"})
		within := map[string]string{"source": e.Source}
		maps.Copy(within, map[string]string{name: value})
		incident("within-"+name, "plain", within)
		incident("of-another-"+name, "plain", map[string]string{"source": "other", name: value + map[string]string{"source": " not"}[name]})
		want = append(want, "with-"+name, "within-"+name)
	}
	incident("stream", "news", map[string]string{"campaign": "spring"})
	incident("no-stream", "other", map[string]string{"campaign": "spring"})
	want = append(want, "stream")
	if status := w.insertNative(t, "INSERT INTO alert_log FORMAT JSONEachRow", []byte(strings.Join(rows, "\n"))); status != http.StatusOK {
		t.Fatalf("insert is answered %d", status)
	}
	slices.Sort(want)
	for _, path := range []string{"/people/" + e.RecipientHash, "/messages/" + e.Source + "/" + e.MessageID} {
		var page struct {
			Events []struct{ Incidents []string }
		}
		// What a timeline is found by is stored a moment after the event.
		servicetest.EventuallyOr(t, func() bool { pageJSON(t, console+path, &page); return len(page.Events) == 1 }, func() string {
			return fmt.Sprintf("%s has %d events", path, len(page.Events))
		})
		if got := page.Events[0].Incidents; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%s is counted in\n%v, want\n%v", path, got, want)
		}
		if text := pageText(t, console+path, "text/html"); !strings.Contains(text, "plain: campaign spring, source acme") {
			t.Errorf("%s does not name its incidents", path)
		}
	}
}
