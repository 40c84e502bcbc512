//go:build browser

package browsertest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// The people and domains of the tests, each of one test, so that they may run in any
// order.
const (
	ana        = "ana@story.example"      // has a long story
	gone       = "gone@lift.example"      // hard bounce, to be lifted
	keys       = "keys@lift.example"      // hard bounce, to be lifted by keyboard
	mallory    = "mallory@script.example" // every field of whose mail is a script
	domainAck  = "laposte.example"
	domainHush = "seznam.example"
	domainNote = "libero.example"
	domainShow = "web.de"          // for the pictures
	domainHard = "parcels.example" // refuses mail of a provider that calls it a bounce
)

// The longest names that may come, and writing from right to left and without spaces.
var (
	longSource   = strings.Repeat("s", 64)
	longCampaign = strings.Repeat("kampagne", 25)
	longDomain   = strings.Join([]string{strings.Repeat("d", 61), strings.Repeat("e", 61), strings.Repeat("f", 61), "ab"}, ".")
	longAddress  = strings.Repeat("l", 64) + "@" + longDomain // 253 octets, the most that a path takes with its brackets
)

// script is what a provider could have us write into a page.
const script = `"><script>window.stolen=1</script><img src=x onerror="window.stolen=1">javascript:window.stolen=1 {{.}} ' onmouseover=window.stolen=1`

// fill plays eight days of a shop, then the incidents of today.
func (w *world) fill(t *testing.T) {
	t.Helper()
	items := w.week(t)
	for source, list := range items {
		w.send(t, source, list)
	}
	w.story(t)
	w.scripts(t)
	for _, d := range []string{domainAck, domainHush, domainNote, domainShow} {
		w.spike(t, d)
	}
	w.hard(t)
	w.old(t)
	w.back(t)
	if status, _ := w.try(t, "newsletter", "[]", "an old password"); status != http.StatusUnauthorized {
		t.Fatalf("a wrong password is answered %d", status)
	}
	w.post(t, "newsletter", `["someone@letters.example was here",{"event":"sent","time":1767225600,"brand_new":1},{"email":"another@letters.example","time":1767225600}]`)
	w.wantSQL(t, "SELECT count() >= 2 FROM dead_letters", "1")
	w.wantSQL(t, fmt.Sprintf("SELECT countDistinct(labels['recipient_domain']) FROM alerts WHERE state = 'firing' AND labels['recipient_domain'] IN ('%s')",
		strings.Join([]string{domainAck, domainHush, domainNote, domainShow, domainHard}, "','")), "5")
	for _, address := range []string{gone, keys} {
		w.suppressed(t, address, true)
	}
	w.wantSQL(t, "SELECT countIf(active) >= 2 FROM suppressions", "1")
}

// suppressed waits until the list says that of an address.
func (w *world) suppressed(t *testing.T, address string, want bool) {
	t.Helper()
	var text string
	servicetest.EventuallyOr(t, func() bool {
		_, text = w.call(t, w.stack.URL(pipeline.Suppression)+"/v1/suppressions/check", `{"addresses":["`+address+`"]}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer dev") })
		return strings.Contains(text, `"suppressed":[]`) != want
	}, func() string { return fmt.Sprintf("%s suppressed, want %t: %s", address, want, text) })
}

// week returns eight days of ordinary mail by source.
func (w *world) week(t *testing.T) map[string][]string {
	t.Helper()
	domains := []string{"gmail.com", "gmail.com", "outlook.com", "yahoo.com", "gmx.de", "firma.example", "icloud.com"}
	items := map[string][]string{}
	n := 0
	for back := 8*24 - 1; back >= 0; back-- {
		hour := w.now.Add(-time.Duration(back) * time.Hour).Truncate(time.Hour)
		load := 16 + int(14*math.Sin(float64(hour.Hour()-8)*math.Pi/12)) // the most by day
		for i := range load {
			n++
			at := hour.Add(time.Duration(i*3600/load) * time.Second)
			if at.After(w.now) {
				break
			}
			address := fmt.Sprintf("customer-%d@%s", n*7919%9973, domains[n%len(domains)])
			items["newsletter"] = append(items["newsletter"], mailjet(t, n, at, address))
			items["shop"] = append(items["shop"], sendgrid(t, n, at, address))
			if i%4 == 0 {
				w.receipt(t, n, at)
			}
		}
	}
	return items
}

func mailjet(t *testing.T, n int, at time.Time, address string) string {
	fields := map[string]any{
		"event": "sent", "time": at.Unix(), "MessageID": 576460760234000000 + n, "email": address, "smtp_reply": "sent (250 2.0.0 OK)",
		"customcampaign": []string{"spring sale", "weekly news", "weekly news", "new in store"}[n%4],
	}
	switch {
	case n%97 == 0:
		fields["event"], fields["source"] = "spam", "JMRPP"
	case n%41 == 0:
		fields["event"], fields["hard_bounce"], fields["blocked"], fields["error_related_to"], fields["error"], fields["comment"] = "bounce", true, true, "recipient", "user unknown", "550 5.1.1 The email account that you tried to reach does not exist"
	case n%61 == 0:
		fields["event"], fields["error_related_to"], fields["error"], fields["comment"] = "blocked", "spam", "sender blocked", "550 5.7.1 Message rejected due to content restrictions"
	case n%3 == 0:
		fields["event"], fields["agent"], fields["ip"] = "open", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X)", "203.0.113.17"
	}
	return encode(t, fields)
}

func sendgrid(t *testing.T, n int, at time.Time, address string) string {
	fields := map[string]any{
		"event": "delivered", "timestamp": at.Unix(), "email": address, "sg_event_id": fmt.Sprintf("ev-%d", n), "sg_message_id": fmt.Sprintf("sg-%d.recvd", n),
		"response": "250 2.0.0 OK", "marketing_campaign_name": []string{"order", "parcel", "order", "review"}[n%4],
		"ip": fmt.Sprintf("198.51.100.%d", 7+n%3), "template_id": fmt.Sprintf("d-%d", n%5), "pool": map[string]any{"name": "transactional", "id": 1},
	}
	switch {
	case n%53 == 0:
		fields["event"], fields["type"], fields["status"], fields["reason"] = "bounce", "bounce", "5.1.1", "550 5.1.1 no such user"
	case n%71 == 0:
		fields["event"], fields["type"], fields["status"], fields["reason"] = "bounce", "blocked", "5.7.1", "550 5.7.1 Unfortunately, messages from this IP weren't sent: it is on our blocklist (S3150)"
	case n%37 == 0:
		fields["event"], fields["response"], fields["attempt"] = "deferred", "451 4.7.1 Greylisted, try again later", "1"
	}
	return encode(t, fields)
}

// receipt posts a message of the third source, whose events come one by one.
func (w *world) receipt(t *testing.T, n int, at time.Time) {
	t.Helper()
	w.post(t, "receipts", encode(t, map[string]any{
		"RecordType": "Delivery", "ServerID": 4711, "MessageStream": "outbound", "MessageID": fmt.Sprintf("3f1c2a9e-6a1d-4d0b-9b39-%012d", n),
		"Recipient": fmt.Sprintf("buyer-%d@gmail.com", n), "Tag": "receipt", "DeliveredAt": at.Format(time.RFC3339), "Details": "smtp;250 2.0.0 OK",
	}))
}

// story is the mail of ana, received twice, and that of those who bounced.
func (w *world) story(t *testing.T) {
	t.Helper()
	at := func(minutes int) int64 {
		return w.now.Add(-5 * time.Hour).Add(time.Duration(minutes) * time.Minute).Unix()
	}
	event := func(kind string, minutes int, more map[string]any) string {
		fields := map[string]any{
			"event": kind, "timestamp": at(minutes), "email": ana, "sg_event_id": "story-" + kind, "sg_message_id": "story-1.recvd", "marketing_campaign_name": "order",
			"ip": "198.51.100.7", "template_id": "d-order", "pool": map[string]any{"name": "transactional", "id": 1},
		}
		for k, v := range more {
			fields[k] = v
		}
		return encode(t, fields)
	}
	agent := "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_1) AppleWebKit/605.1.15"
	story := "[" + strings.Join([]string{
		event("processed", 0, nil),
		event("deferred", 1, map[string]any{"response": "451 4.7.1 Greylisted, try again in 5 minutes", "attempt": "1"}),
		event("delivered", 7, map[string]any{"response": "250 2.0.0 OK queued as 9F31C"}),
		event("open", 8, map[string]any{"useragent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "sg_machine_open": true}),
		event("open", 63, map[string]any{"useragent": agent, "sg_event_id": "story-open-2"}),
		event("click", 64, map[string]any{"useragent": agent, "url": "https://shop.example.com/orders/7781"}),
		event("spamreport", 240, nil),
	}, ",") + "]"
	w.post(t, "shop", story)
	w.wantSQL(t, "SELECT count() FROM events WHERE recipient = '"+ana+"'", "7")
	w.post(t, "shop", story) // the same events: counted once, seen twice
	var bounces []string
	for i, address := range []string{gone, keys} {
		bounces = append(bounces, encode(t, map[string]any{
			"event": "bounce", "timestamp": at(i), "email": address, "sg_event_id": fmt.Sprintf("gone-%d", i), "sg_message_id": fmt.Sprintf("gone-%d.recvd", i),
			"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 <" + address + ">: Recipient address rejected: User unknown", "ip": "198.51.100.7",
		}))
	}
	w.send(t, "shop", bounces)
}

// scripts is mail whose every field would run in a page that trusts it.
func (w *world) scripts(t *testing.T) {
	t.Helper()
	at := w.now.Add(-time.Hour).Unix()
	w.send(t, "newsletter", []string{
		encode(t, map[string]any{"event": "blocked", "time": at, "MessageID": 576460760234900001, "email": mallory, "customcampaign": script, "error_related_to": "spam", "error": script, "comment": "550 5.7.1 " + script, "CustomID": script, "Payload": script}),
		encode(t, map[string]any{"event": "click", "time": at + 1, "MessageID": 576460760234900001, "email": mallory, "customcampaign": script, "url": "javascript:window.stolen=1//" + script, "agent": script, "ip": "203.0.113.17", "geo": script}),
	})
	w.send(t, "shop", []string{
		encode(t, map[string]any{"event": "bounce", "type": "blocked", "timestamp": at, "email": mallory, "sg_event_id": script, "sg_message_id": script, "reason": script, "status": "5.7.1", "marketing_campaign_name": script, "ip": "198.51.100.7", "template_id": script, "pool": map[string]any{"name": script, "id": 1}}),
	})
	w.post(t, "receipts", encode(t, map[string]any{
		"RecordType": "Bounce", "ID": 42, "Type": "HardBounce", "TypeCode": 1, "Name": script, "Tag": script, "MessageID": "00000000-0000-0000-0000-000000000666", "ServerID": 4711, "MessageStream": "outbound",
		"Description": script, "Details": script, "Email": mallory, "From": "shop@example.com", "BouncedAt": time.Unix(at, 0).UTC().Format(time.RFC3339), "DumpAvailable": false, "Inactive": true, "CanActivate": true, "Subject": script, "Content": script,
	}))
	w.post(t, "newsletter", encode(t, []any{map[string]any{"event": script, "comment": script}}))
	w.wantSQL(t, "SELECT count() FROM events WHERE recipient = '"+mallory+"'", "4")
}

// longNames is mail whose every name is as long as may be, or of another script; and an
// incident about such a domain.
func (w *world) longNames(t *testing.T) {
	t.Helper()
	var items []string
	for i, text := range []string{longCampaign, "תזכורת: ההזמנה שלך בדרך אליך (order 7781)", "ご注文の確認:春の大売り出しキャンペーンのお知らせ"} {
		items = append(items, encode(t, map[string]any{
			"event": "bounce", "type": "bounce", "timestamp": w.now.Add(-time.Hour).Unix(), "email": longAddress, "sg_event_id": fmt.Sprint("long-", i), "sg_message_id": strings.Repeat("m", 200) + fmt.Sprint(i),
			"reason": "550 5.1.1 " + text + strings.Repeat("x", 900), "status": "5.1.1", "marketing_campaign_name": text, "subject": text, "ip": "198.51.100.7", "template_id": strings.Repeat("t", 120),
		}))
	}
	w.send(t, longSource, items)
	w.suppressed(t, longAddress, true)
	w.spike(t, longDomain)
	w.wantSQL(t, "SELECT count() > 0 FROM alerts WHERE state = 'firing' AND labels['recipient_domain'] = '"+longDomain+"'", "1")
}

// spike has a domain refuse most of its mail of the last minutes.
func (w *world) spike(t *testing.T, domain string) {
	t.Helper()
	var items []string
	for i := range 44 {
		fields := map[string]any{
			"event": "sent", "time": w.now.Add(-time.Duration(i) * 10 * time.Second).Unix(), "MessageID": 576460760235000000 + i,
			"email": fmt.Sprintf("reader-%d@%s", i, domain), "smtp_reply": "sent (250 OK)", "customcampaign": []string{"spring sale", "weekly news"}[i%4/3],
		}
		if i%4 != 3 {
			fields["event"], fields["error_related_to"], fields["error"] = "blocked", "spam", "sender blocked"
			fields["comment"] = "554 5.7.1 Our spam filter has refused this mail because of the reputation of its sender"
		}
		items = append(items, encode(t, fields))
	}
	w.send(t, "newsletter", items)
}

// hard has a domain refuse mail because of its sender, by a provider that has no other word
// than bounce for it; its subjects are of all directions.
func (w *world) hard(t *testing.T) {
	t.Helper()
	subjects := []string{"תזכורת: ההזמנה שלך 7781", "تذكير: طلبك رقم 7781", "ご注文の確認", "Your parcel"}
	var items []string
	for i := range 44 {
		at := w.now.Add(-time.Duration(i) * 10 * time.Second)
		fields := map[string]any{
			"event": "delivered", "email": fmt.Sprintf("taker-%d@%s", i, domainHard), "id": 90211, "message-id": fmt.Sprintf("<parcel.%d@smtp-relay.mailin.fr>", i), "date": at.Format(time.DateTime),
			"subject": subjects[i%4], "tags": []string{"parcel"}, "sending_ip": "192.0.2.25", "ts_event": at.Unix(), "ts": at.Unix(), "ts_epoch": at.UnixMilli(), "reason": "sent",
		}
		if i%4 != 3 {
			fields["event"], fields["reason"] = "hard_bounce", "550 5.7.1 Message refused because of the reputation of your IP"
		}
		items = append(items, encode(t, fields))
	}
	w.send(t, "parcels", items)
}

// clockChange is when clocks were put back on the last Sunday of an October that is over and
// kept.
func (w *world) clockChange() time.Time {
	change := time.Date(w.now.AddDate(0, -10, 0).Year(), 10, 31, 1, 0, 0, 0, time.UTC)
	for change.Weekday() != time.Sunday {
		change = change.AddDate(0, 0, -1)
	}
	return change
}

// back is mail of that time, without which there is no plot of it.
func (w *world) back(t *testing.T) {
	t.Helper()
	at := w.clockChange()
	w.post(t, "parcels", encode(t, map[string]any{
		"event": "delivered", "email": "reader@zones.example", "id": 90212, "message-id": "<zones@smtp-relay.mailin.fr>", "date": at.Format(time.DateTime),
		"ts_event": at.Unix(), "ts": at.Unix(), "ts_epoch": at.UnixMilli(), "reason": "sent",
	}))
	w.wantSQL(t, "SELECT count() FROM events WHERE recipient = 'reader@zones.example'", "1")
}

// The incidents of long ago that only ClickHouse has: of a rule by campaign, of a rule that
// is not configured any more, and one whose every text is a script.
const oldCampaign, oldGone, oldScript = "inc-old-campaign", "inc-old-gone", "inc-old-script"

// old writes them; they lasted longer than a page reads.
func (w *world) old(t *testing.T) {
	t.Helper()
	var rows []string
	for id, more := range map[string]map[string]any{
		oldScript: {
			"rule": script, "labels": map[string]string{"source": script, "campaign": script}, "value": .5, "ended": script, "causes": map[string]int{script: 1},
			"reasons.reason": []string{script}, "reasons.cause": []string{script}, "reasons.count": []int{3}, "reasons.sample": []string{script},
		},
		oldCampaign: {"rule": "hard_bounce_critical", "labels": map[string]string{"source": "shop", "campaign": "review"}, "value": .25, "delivered": 30, "bounced": 10},
		oldGone: {
			"rule": "gone_rule", "labels": map[string]string{"source": "shop", "tag": "no such tag"}, "value": .75, "delivered": 10, "blocked": 30, "causes": map[string]int{"sender": 30},
			"reasons.reason": []string{"reputation"}, "reasons.cause": []string{"sender"}, "reasons.count": []int{30}, "reasons.sample": []string{"554 5.7.1 a reply of the record"},
		},
	} {
		row := map[string]any{
			"fingerprint": id, "incident": id, "version": 1, "state": "resolved", "ended": "recovered", "peak": .8, "threshold": .1, "window": "1h0m0s",
			"since": w.now.Add(-96 * time.Hour).Format(time.DateTime), "updated_at": w.now.Add(-24 * time.Hour).Format(time.DateTime), "resolved_at": w.now.Add(-24 * time.Hour).Format(time.DateTime),
		}
		for name, v := range more {
			row[name] = v
		}
		rows = append(rows, encode(t, row))
	}
	status, text := w.call(t, w.stack.ClickHouse()+"/?database=mailstream&query=INSERT+INTO+alert_log+FORMAT+JSONEachRow", strings.Join(rows, "\n"), func(*http.Request) {})
	if status != http.StatusOK {
		t.Fatalf("insert answered %d: %s", status, text)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
