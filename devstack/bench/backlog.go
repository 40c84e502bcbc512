package bench

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

// backlogRecord returns the n-th record of the backlog: what the ingress makes
// of a Mailjet event, about 1 KB, in the mix of an ordinary campaign spread over
// ten minutes. No two are one event.
func backlogRecord(n int) *kgo.Record {
	const day = 24 * time.Hour
	mix := []schemas.Type{
		schemas.Processed, schemas.Delivered, schemas.Delivered, schemas.Delivered, schemas.Delivered,
		schemas.Opened, schemas.Opened, schemas.Clicked, schemas.Bounced, schemas.Blocked,
	}
	domains := []string{"gmail.com", "outlook.com", "yahoo.com", "web.de", "gmx.net"}
	at := time.Now().UTC().Truncate(day).Add(-day + 10*time.Hour + time.Duration(n*7919%600_000)*time.Millisecond)
	domain, user := domains[n%len(domains)], n*104729%200_000
	if n%3 == 0 {
		domain = fmt.Sprintf("d%d.example", n*31%3000)
	}
	e := schemas.Event{
		ID:              fmt.Sprintf("%08x-%04x-8000-8000-%012x", at.UnixMilli()>>16, at.UnixMilli()&0xffff, n),
		Type:            mix[n%len(mix)],
		Time:            at,
		ReceivedAt:      at.Add(700 * time.Millisecond),
		Provider:        "mailjet",
		Source:          []string{"acme", "beta", "gamma"}[n%3],
		ProviderEvent:   "sent",
		MessageID:       fmt.Sprint(uint64(57646076000000000) + uint64(n/3)),
		Recipient:       fmt.Sprintf("user%d@%s", user, domain),
		RecipientDomain: domain,
		RecipientHash:   fmt.Sprintf("%032x", uint64(user)*0x9e3779b97f4a7c15),
		Campaign:        fmt.Sprintf("campaign-%d", n%40),
	}
	switch e.Type {
	case schemas.Opened, schemas.Clicked:
		no := false
		e.ProviderEvent, e.IP, e.Country, e.Machine = "open", fmt.Sprintf("192.0.2.%d", n%250), "DE", &no
		e.UserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
	case schemas.Bounced, schemas.Blocked:
		yes := true
		e.ProviderEvent, e.BounceType, e.Reason, e.Cause = "bounce", schemas.Hard, schemas.InvalidRecipient, schemas.CauseRecipient
		e.Classifier, e.Permanent, e.SMTPCode, e.EnhancedCode = "2026-11-01", &yes, 550, "5.1.1"
		e.SMTPReply = fmt.Sprintf("550 5.1.1 mailbox unavailable, reference %x", n)
	}
	e.Raw = []byte(fmt.Sprintf(`{"event":%q,"time":%d,"MessageID":%s,"Message_GUID":"6b1f0c52-3a0e-4c5e-9d1a-%012x","email":%q,`+
		`"mj_campaign_id":%d,"mj_contact_id":%d,"customcampaign":%q,"CustomID":"order-%d","Payload":"tenant=t-%d",`+
		`"ip":%q,"agent":%q,"smtp_reply":"sent (250 2.0.0 OK %d a1b2c3d4e5f6 - mx.example.com)"}`,
		e.ProviderEvent, at.Unix(), e.MessageID, n, e.Recipient, n%40, user, e.Campaign, n, n%9, e.IP, e.UserAgent, at.Unix()+int64(n)))
	return &kgo.Record{
		Topic: schemas.EventTopic(schemas.DefaultTopicPrefix, e.Type),
		Key:   []byte(schemas.PartitionKey(&e)),
		Value: schemas.AppendJSON(nil, &e),
	}
}
