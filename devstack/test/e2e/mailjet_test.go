package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/servicetest"
)

// messageID is beyond 2^53: a reader that takes JSON numbers for doubles
// changes it.
const messageID = 576460761234567891

// item is one Mailjet event with what it must become.
type item struct {
	name   string
	typ    schemas.Type
	fields map[string]any
}

// sheet returns an event of every kind on Mailjet's sheet, to people of their
// own whose addresses start with tag.
func sheet(tag string, at time.Time) []item {
	n := 0
	event := func(name string, typ schemas.Type, kind string, extra map[string]any) item {
		n++
		fields := map[string]any{
			"event": kind, "time": at.Unix() + int64(n), "MessageID": messageID + n, "email": fmt.Sprintf("%s-%s@example.com", tag, name),
			"Message_GUID": "6b1f0c52-3a0e-4c5e-9d1a-0f8a3a7c1d01", "mj_campaign_id": 9001, "mj_contact_id": 42,
			"customcampaign": "spring-2026", "CustomID": "order-7781", "Payload": `{"tenant":"t-9"}`,
		}
		maps.Copy(fields, extra)
		return item{name, typ, fields}
	}
	agent := map[string]any{"ip": "203.0.113.17", "geo": "DE", "agent": "Mozilla/5.0 (X11; Linux x86_64) Example/1.0"}
	with := func(more map[string]any) map[string]any { m := maps.Clone(agent); maps.Copy(m, more); return m }
	return []item{
		event("sent", schemas.Delivered, "sent", map[string]any{"smtp_reply": "sent (250 2.0.0 OK a1b2c3)"}),
		event("open", schemas.Opened, "open", agent),
		event("click", schemas.Clicked, "click", with(map[string]any{"url": "https://shop.example.com/o/7781?ref=mail"})),
		event("hard", schemas.Bounced, "bounce", map[string]any{"blocked": true, "hard_bounce": true, "error_related_to": "recipient", "error": "user unknown", "comment": "550 5.1.1 no such user"}),
		event("soft", schemas.Bounced, "bounce", map[string]any{"blocked": false, "hard_bounce": false, "error_related_to": "recipient", "error": "quota exceeded", "comment": "452 4.2.2 mailbox is over quota"}),
		event("greylisted", schemas.Deferred, "bounce", map[string]any{"blocked": false, "hard_bounce": false, "error_related_to": "domain", "error": "greylisted"}),
		event("blocked", schemas.Blocked, "blocked", map[string]any{"error_related_to": "mailjet", "error": "preblocked"}),
		event("template", schemas.Failed, "blocked", map[string]any{"error_related_to": "content", "error": "bad or empty template"}),
		event("spam", schemas.Complained, "spam", map[string]any{"source": "JMRPP"}),
		event("unsub", schemas.Unsubscribed, "unsub", with(map[string]any{"mj_list_id": 17})),
		event("unheard-of", schemas.Other, "teleported", nil),
	}
}

// bodies returns the items as requests: one bare object each when bare, else
// all of them in one array.
func bodies(t *testing.T, items []item, bare bool) []string {
	t.Helper()
	var objects []string
	for _, it := range items {
		objects = append(objects, jsonOf(t, it.fields))
	}
	if bare {
		return objects
	}
	return []string{"[" + strings.Join(objects, ",") + "]"}
}

func TestMailjet_EveryEventBothShapesThreeTimesShuffled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
	bare, grouped := sheet("bare", now), sheet("grouped", now)
	var requests []string
	for range 3 {
		requests = append(requests, bodies(t, bare, true)...)
		requests = append(requests, bodies(t, grouped, false)...)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	for _, body := range requests {
		n := 1
		if body[0] == '[' {
			n = len(grouped)
		}
		if got, want := strings.TrimSpace(w.post(http.StatusOK, body)), fmt.Sprintf(`{"accepted":%d,"dead_lettered":0}`, n); got != want {
			t.Fatalf("answer %s, want %s", got, want)
		}
	}
	all := append(bare, grouped...)
	wantRecords(t, w, all)
	wantRows(t, w, all)
	wantSuppressions(t, w)
	if posts := w.stack.Slack().Messages(); len(posts) != 0 {
		t.Errorf("Slack got: %v", posts)
	}
}

// wantRecords checks the topics: each event in the topic of its type, under the
// key of its person, with CloudEvents headers, the same id for each copy.
func wantRecords(t *testing.T, w *world, items []item) {
	t.Helper()
	type seen struct {
		ids    map[string]bool
		copies int
	}
	byAddress := map[string]*seen{}
	for _, r := range w.records(schemas.EventTopics(w.prefix)...) {
		e, err := schemas.Decode(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if r.Topic != schemas.EventTopic(w.prefix, e.Type) || string(r.Key) != e.RecipientHash || e.RecipientHash == "" {
			t.Errorf("%s event in topic %s under key %q", e.Type, r.Topic, r.Key)
		}
		headers := map[string]string{}
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		want := map[string]string{
			"ce_specversion": "1.0", "ce_id": e.ID, "ce_source": "/mailstream/mailjet", "ce_type": "email." + string(e.Type),
			"ce_time": e.Time.Format("2006-01-02T15:04:05.000Z"), "content-type": "application/json", "origin": "live",
		}
		if diff := cmp.Diff(want, headers); diff != "" {
			t.Errorf("headers of %s: %s", e.ID, diff)
		}
		if byAddress[e.Recipient] == nil {
			byAddress[e.Recipient] = &seen{ids: map[string]bool{}}
		}
		byAddress[e.Recipient].ids[e.ID] = true
		byAddress[e.Recipient].copies++
	}
	for _, it := range items {
		if s := byAddress[it.fields["email"].(string)]; s == nil || len(s.ids) != 1 || s.copies != 3 {
			t.Errorf("%s: %+v, want one id in three records", it.fields["email"], s)
		}
	}
	if len(byAddress) != len(items) {
		t.Errorf("%d recipients in Kafka, want %d", len(byAddress), len(items))
	}
}

// wantRows checks the tables: each event once, whatever was repeated.
func wantRows(t *testing.T, w *world, items []item) {
	t.Helper()
	want := map[schemas.Type]int{}
	var rows []string
	for _, it := range items {
		want[it.typ]++
		raw, err := json.Marshal(it.fields["MessageID"])
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s", it.fields["email"], it.typ, raw))
	}
	slices.Sort(rows)
	w.wantSQL("SELECT recipient, type, message_id FROM events ORDER BY recipient FORMAT TSVRaw", rows...)
	var counts []string
	for _, typ := range schemas.Types() {
		if want[typ] > 0 {
			counts = append(counts, fmt.Sprintf("%s\t%d", typ, want[typ]))
		}
	}
	slices.Sort(counts)
	w.wantSQL("SELECT type, count() FROM events GROUP BY type ORDER BY type", counts...)
	for _, rates := range []string{"rates_1m", "rates_1h"} {
		w.wantSQL("SELECT type, sum(events) FROM "+rates+" GROUP BY type ORDER BY type", counts...)
	}
	w.wantSQL("SELECT count() FROM messages", fmt.Sprint(len(items))) // a row a message and recipient
	w.wantSQL("SELECT bounce_type, reason, cause, smtp_code, enhanced_code, permanent, campaign, metadata['CustomID'] FROM events WHERE recipient = 'bare-hard@example.com'",
		"hard\tinvalid_recipient\trecipient\t550\t5.1.1\ttrue\tspring-2026\torder-7781")
}

// wantSuppressions checks that what must stop mail does, and nothing else.
func wantSuppressions(t *testing.T, w *world) {
	t.Helper()
	addresses := []string{
		"bare-hard@example.com", "grouped-spam@example.com", "Bare-Unsub@EXAMPLE.com", "bare-blocked@example.com",
		"bare-soft@example.com", "bare-sent@example.com", "bare-greylisted@example.com", "bare-template@example.com",
	}
	var got map[string]suppressed
	servicetest.EventuallyOr(w.t, func() bool { got = w.check("marketing", addresses...); return len(got) >= 4 }, func() string { return fmt.Sprint(got) })
	want := map[string]string{
		"bare-hard@example.com": "hard_bounce", "grouped-spam@example.com": "complaint", "Bare-Unsub@EXAMPLE.com": "unsubscribe",
		"bare-blocked@example.com": "provider_suppressed", // preblocked: Mailjet did not try
	}
	reasons := map[string]string{}
	for address, s := range got {
		reasons[address] = s.Reason
		if s.Scope == "" || s.Since == "" || s.Evidence.EventID == "" {
			t.Errorf("%s: no scope, since or evidence: %+v", address, s)
			continue
		}
		w.wantSQL("SELECT count() FROM events WHERE id = '"+s.Evidence.EventID+"'", "1")
	}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Error(diff)
	}
}
