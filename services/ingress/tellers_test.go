package ingress_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/activecampaign"
	"github.com/mailstream/mailstream/services/internal/provider/brevo"
	"github.com/mailstream/mailstream/services/internal/provider/mailchimp"
	"github.com/mailstream/mailstream/services/internal/provider/mailersend"
	"github.com/mailstream/mailstream/services/internal/provider/mailgun"
	"github.com/mailstream/mailstream/services/internal/provider/mailjet"
	"github.com/mailstream/mailstream/services/internal/provider/mailtrap"
	"github.com/mailstream/mailstream/services/internal/provider/mandrill"
	"github.com/mailstream/mailstream/services/internal/provider/postal"
	"github.com/mailstream/mailstream/services/internal/provider/postmark"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
	"github.com/mailstream/mailstream/services/internal/provider/resend"
	"github.com/mailstream/mailstream/services/internal/provider/sendgrid"
	"github.com/mailstream/mailstream/services/internal/provider/ses"
	"github.com/mailstream/mailstream/services/internal/provider/sparkpost"
)

// teller writes a failure down as one provider does: what it calls it, in words of
// which each stands in a field of its own, and what the remote server said.
type teller struct {
	provider.Provider
	write func(words []string, reply string) string
}

// tellers returns all providers of names. What is said of each is the order of its
// words.
func tellers() []teller {
	return []teller{
		{mailjet.Provider{}, func(w []string, reply string) string { // event|hard_bounce|error
			return fmt.Sprintf(`{"event":%q,"time":1772615730,"MessageID":19421777835146490,"email":"ana@example.com","hard_bounce":%s,"error_related_to":"recipient","error":%q,"comment":%q}`,
				w[0], w[1], w[2], reply)
		}},
		{sendgrid.Provider{}, func(w []string, reply string) string { // event|type or what a drop gives as reason|bounce_classification
			if w[0] == "dropped" {
				return fmt.Sprintf(`[{"event":"dropped","email":"ana@example.com","timestamp":1772615730,"sg_message_id":"m","reason":%q}]`, w[1])
			}
			_, status := classify.Codes(reply)
			return fmt.Sprintf(`[{"event":%q,"email":"ana@example.com","timestamp":1772615730,"sg_message_id":"m.recvd-1","type":%q,"bounce_classification":%q,"status":%q,"reason":%q,"response":%[5]q}]`,
				w[0], w[1], w[2], status, reply)
		}},
		{mailgun.Provider{}, func(w []string, reply string) string { // severity|reason|bounce-type|number of its own
			code, enhanced := classify.Codes(reply)
			if w[3] != "" {
				return fmt.Sprintf(`{"event-data":{"event":"failed","severity":%q,"reason":%q,"id":"i","timestamp":1772615730,"delivery-status":{"code":%s,"message":"","description":%q},"recipient":"ana@example.com"}}`,
					w[0], w[1], w[3], reply)
			}
			return fmt.Sprintf(`{"event-data":{"event":"failed","severity":%q,"reason":%q,"id":"i","timestamp":1772615730,"delivery-status":{"code":%d,"enhanced-code":%q,"message":%q,"bounce-type":%q},"recipient":"ana@example.com"}}`,
				w[0], w[1], code, enhanced, strings.TrimPrefix(reply, fmt.Sprint(code, " ")), w[2])
		}},
		{ses.Provider{}, writeSES}, // eventType|object|type|subtype
		{sparkpost.Provider{}, func(w []string, reply string) string { // type|bounce_class|phrase of its own
			reply += w[2]
			code, _ := classify.Codes(reply)
			return fmt.Sprintf(`[{"msys":{"message_event":{"type":%q,"event_id":"1","timestamp":"1772615735","message_id":"m","raw_rcpt_to":"ana@example.com","bounce_class":%q,"error_code":"%d","raw_reason":%q}}}]`,
				w[0], w[1], code, reply)
		}},
		{postmark.Provider{}, func(w []string, reply string) string { // Type|Inactive
			return fmt.Sprintf(`{"RecordType":"Bounce","ID":692560173,"Type":%q,"MessageID":"3f1c2a9e","Details":%q,"Email":"ana@example.com","BouncedAt":"2026-03-04T09:15:30Z","Inactive":%s}`,
				w[0], "smtp;"+reply, w[1])
		}},
		{mandrill.Provider{}, func(w []string, reply string) string { // event|bounce_description|bgtools_code|reject.reason
			return "mandrill_events=" + url.QueryEscape(fmt.Sprintf(
				`[{"event":%q,"ts":1772615730,"_id":"m","msg":{"email":"ana@example.com","bounce_description":%q,"bgtools_code":%q,"reject":{"reason":%q},"diag":%q}}]`,
				w[0], w[1], w[2], w[3], reply))
		}},
		{brevo.Provider{}, func(w []string, reply string) string { // event|phrase of its own
			return fmt.Sprintf(`{"event":%q,"email":"ana@example.com","message-id":"<m@example.org>","ts_epoch":1772615730120,"reason":%q}`,
				w[0], w[1]+reply)
		}},
		{resend.Provider{}, func(w []string, reply string) string { // type|object|type|subType|reason
			return fmt.Sprintf(`{"type":%q,"created_at":"2026-03-04T09:15:30Z","data":{"email_id":"m","to":["ana@example.com"],%q:{"type":%q,"subType":%q,"reason":%q,"diagnosticCode":[%q]}}}`,
				w[0], w[1], w[2], w[3], w[4], "smtp; "+reply)
		}},
		{mailersend.Provider{}, func(w []string, reply string) string { // type
			code, _ := classify.Codes(reply)
			return fmt.Sprintf(`{"type":%q,"created_at":"2026-03-04T09:15:30Z","data":{"id":"i","message_id":"m","recipient":"ana@example.com","meta":{"bounce_reason":%q,"bounce_code":"%d"}}}`,
				w[0], reply, code)
		}},
		{mailtrap.Provider{}, func(w []string, reply string) string { // event|bounce_category|reason
			code, _ := classify.Codes(reply)
			return fmt.Sprintf(`{"events":[{"event":%q,"message_id":"m","email":"ana@example.com","timestamp":1772615730,"event_id":"i","response":%q,"response_code":%d,"bounce_category":%q,"reason":%q}]}`,
				w[0], strings.TrimPrefix(reply, fmt.Sprint(code, " ")), code, w[1], w[2])
		}},
		{postal.Provider{}, func(w []string, reply string) string { // event|details
			return fmt.Sprintf(`{"event":%q,"timestamp":1772615730.1,"uuid":"u","payload":{"message":{"id":812,"direction":"outgoing","message_id":"m","to":"ana@example.com"},"status":"s","details":%q,"output":%q,"timestamp":1772615730.1}}`,
				w[0], w[1], reply)
		}},
		{activecampaign.Provider{}, func(w []string, reply string) string { // bounce[type]
			code, enhanced := classify.Codes(reply)
			if enhanced == "" {
				enhanced = fmt.Sprint(code)
			}
			return url.Values{
				"type": {"bounce"}, "date_time": {"2026-03-04T03:02:00-06:00"}, "contact[email]": {"ana@example.com"},
				"bounce[type]": {w[0]}, "bounce[code]": {enhanced}, "bounce[description]": {reply},
			}.Encode()
		}},
		{mailchimp.Provider{}, func(w []string, _ string) string { // data[reason]
			return url.Values{
				"type": {"cleaned"}, "fired_at": {"2026-03-04 09:30:00"}, "data[list_id]": {"a1"}, "data[email]": {"ana@example.com"},
				"data[reason]": {w[0]},
			}.Encode()
		}},
	}
}

func writeSES(w []string, reply string) string {
	_, status := classify.Codes(reply)
	who := fmt.Sprintf(`[{"emailAddress":"ana@example.com","status":%q,"diagnosticCode":%q}]`, status, "smtp; "+reply)
	record, err := json.Marshal(fmt.Sprintf(
		`{"eventType":%q,"mail":{"timestamp":"2026-03-04T09:15:30Z","messageId":"m","destination":["ana@example.com"]},%q:{"timestamp":"2026-03-04T09:15:31Z","bounceType":%q,"delayType":%[3]q,"bounceSubType":%q,"complaintSubType":%[4]q,"bouncedRecipients":%s}}`,
		w[0], w[1], w[2], w[3], who))
	if err != nil {
		panic(err) // a string always encodes
	}
	return fmt.Sprintf(`{"Type":"Notification","MessageId":"1","Message":%s,"Timestamp":"2026-03-04T09:15:32Z"}`, record)
}

// wordsMax is how many words the longest description of a failure has.
const wordsMax = 5

// event returns what becomes of one failure.
func (tl teller) event(t *testing.T, n *normalise.Normaliser, words, reply string) *schemas.Event {
	t.Helper()
	w := append(strings.Split(words, "|"), make([]string, wordsMax)...)
	var batch provider.Batch
	req := &provider.Request{Header: http.Header{}, Body: []byte(tl.write(w, reply)), Limits: jsontext.Limits{Depth: 64, Items: 100}}
	if err := tl.Decode(req, &batch); err != nil || len(batch.Items()) != 1 || batch.Items()[0].Fault != "" {
		t.Fatalf("%d items, %v, of %s", len(batch.Items()), err, req.Body)
	}
	it := &batch.Items()[0]
	n.Complete(it, normalise.Origin{Provider: tl.Name(), Source: "s", ReceivedAt: time.Date(2026, time.March, 4, 10, 0, 0, 0, time.UTC)})
	return &it.Event
}

// describe returns type, kind of bounce, reason and whether the address is done
// for.
func describe(ev *schemas.Event) string {
	words := []string{string(ev.Type)}
	if ev.BounceType != "" {
		words = append(words, string(ev.BounceType))
	}
	words = append(words, string(ev.Reason), "unknown")
	if ev.Permanent != nil {
		words[len(words)-1] = map[bool]string{true: "permanent", false: "passing"}[*ev.Permanent]
	}
	return strings.Join(words, " ")
}

func newNormaliser(t *testing.T) *normalise.Normaliser {
	t.Helper()
	hasher, err := address.NewHasher(config.Literal("pepper-of-the-table-test"))
	if err != nil {
		t.Fatal(err)
	}
	classifier, err := registry.Classifier()
	if err != nil {
		t.Fatal(err)
	}
	n, err := normalise.New(hasher, classifier)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
