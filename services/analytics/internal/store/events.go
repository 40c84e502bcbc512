package store

import (
	_ "embed"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/deadletter"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
)

//go:embed sql/insert/event_log.sql
var insertEventsSQL string

// events is a block of event_log.
type events struct {
	row    event
	erased Erased
	keep   Keep
	acts   *forgottenActs // where those of people who are erased go

	id                                                    proto.ColUUID
	time, receivedAt                                      *moments
	typ, provider, source, providerEvent                  *words
	recipientDomain, mailboxProvider, campaign            *words
	bounceType, reason, cause, classifier, enhancedCode   *words
	confidence, blocklist                                 *words
	country, feedbackSource, kafkaTopic, origin           *words
	fromDomain, sendingDomain, template, ipPool           *words
	subject                                               *text
	providerEventID, messageID, recipient, recipientHash  *text
	blocklistSubject, blocklistURL                        *text
	smtpReply, url, ip, userAgent, listID, sendingIP, raw *text
	tagItems, metaKeys, metaValues                        *text
	tags                                                  *lists
	metadata                                              *pairs
	permanent, machine                                    *flags
	smtpCode                                              proto.ColUInt16
	kafkaPartition                                        proto.ColUInt16
	kafkaOffset, messageKey                               proto.ColUInt64
	weight                                                proto.ColFloat64
	cols                                                  []clickhouse.Column
}

func newEvents(erased Erased, keep Keep) *events {
	e := &events{
		erased: erased, keep: keep,
		time: new(moments), receivedAt: new(moments),
		typ: newWords(), provider: newWords(), source: newWords(), providerEvent: newWords(),
		recipientDomain: newWords(), mailboxProvider: newWords(), campaign: newWords(),
		bounceType: newWords(), reason: newWords(), cause: newWords(), classifier: newWords(), enhancedCode: newWords(),
		confidence: newWords(), blocklist: newWords(), blocklistSubject: new(text), blocklistURL: new(text),
		country: newWords(), feedbackSource: newWords(), kafkaTopic: newWords(), origin: newWords(),
		fromDomain: newWords(), sendingDomain: newWords(), template: newWords(), ipPool: newWords(), subject: new(text),
		providerEventID: new(text), messageID: new(text), recipient: new(text), recipientHash: new(text),
		smtpReply: new(text), url: new(text), ip: new(text), userAgent: new(text), listID: new(text), sendingIP: new(text), raw: new(text),
		tagItems: new(text), metaKeys: new(text), metaValues: new(text),
		permanent: new(flags), machine: new(flags),
	}
	e.tags = &lists{items: e.tagItems}
	e.metadata = &pairs{keys: e.metaKeys, values: e.metaValues}
	e.cols = []clickhouse.Column{
		{Name: "id", Data: &e.id}, {Name: "type", Data: e.typ}, {Name: "time", Data: e.time}, {Name: "received_at", Data: e.receivedAt},
		{Name: "provider", Data: e.provider}, {Name: "source", Data: e.source},
		{Name: "provider_event", Data: e.providerEvent}, {Name: "provider_event_id", Data: e.providerEventID},
		{Name: "message_id", Data: e.messageID}, {Name: "recipient", Data: e.recipient}, {Name: "recipient_domain", Data: e.recipientDomain},
		{Name: "recipient_hash", Data: e.recipientHash}, {Name: "mailbox_provider", Data: e.mailboxProvider},
		{Name: "campaign", Data: e.campaign}, {Name: "tags", Data: e.tags}, {Name: "metadata", Data: e.metadata},
		{Name: "subject", Data: e.subject}, {Name: "from_domain", Data: e.fromDomain},
		{Name: "sending_domain", Data: e.sendingDomain}, {Name: "template", Data: e.template},
		{Name: "bounce_type", Data: e.bounceType}, {Name: "reason", Data: e.reason}, {Name: "cause", Data: e.cause},
		{Name: "confidence", Data: e.confidence}, {Name: "classifier", Data: e.classifier},
		{Name: "permanent", Data: e.permanent}, {Name: "smtp_code", Data: &e.smtpCode}, {Name: "enhanced_code", Data: e.enhancedCode}, {Name: "smtp_reply", Data: e.smtpReply},
		{Name: "blocklist", Data: e.blocklist}, {Name: "blocklist_subject", Data: e.blocklistSubject}, {Name: "blocklist_url", Data: e.blocklistURL},
		{Name: "url", Data: e.url}, {Name: "ip", Data: e.ip}, {Name: "user_agent", Data: e.userAgent}, {Name: "country", Data: e.country}, {Name: "machine", Data: e.machine},
		{Name: "feedback_source", Data: e.feedbackSource}, {Name: "list_id", Data: e.listID}, {Name: "sending_ip", Data: e.sendingIP}, {Name: "ip_pool", Data: e.ipPool},
		{Name: "raw", Data: e.raw}, {Name: "origin", Data: e.origin},
		{Name: "kafka_topic", Data: e.kafkaTopic}, {Name: "kafka_partition", Data: &e.kafkaPartition}, {Name: "kafka_offset", Data: &e.kafkaOffset},
		{Name: "weight", Data: &e.weight}, {Name: "message_key", Data: &e.messageKey},
	}
	return e
}

func (e *events) statement() string            { return insertEventsSQL }
func (e *events) columns() []clickhouse.Column { return e.cols }

// append adds the event of rec, or nothing and a *Fault.
func (e *events) append(rec *kgo.Record) error {
	if len(rec.Value) == 0 {
		return faultf(Empty, "an event record without a value")
	}
	if err := e.row.read(rec.Value); err != nil {
		return err
	}
	into, weight, messageKey := e, e.keep.weight(&e.row), uint64(0)
	if e.erased.Covers(e.row.RecipientHash, e.row.time, e.row.receivedAt) {
		e.row.blank()
		if e.row.isAct() {
			into = e.acts.events
			e.acts.unjudged()
		}
	} else if weight == 0 {
		messageKey = e.row.thin()
	}
	into.add(&e.row)
	into.weight = append(into.weight, weight)
	into.messageKey = append(into.messageKey, messageKey)
	into.origin.Append([]byte(deadletter.OriginOf(rec)))
	into.kafkaTopic.Append([]byte(rec.Topic))
	into.kafkaPartition = append(into.kafkaPartition, uint16(rec.Partition))
	into.kafkaOffset = append(into.kafkaOffset, uint64(rec.Offset))
	return nil
}

func (e *events) add(r *event) {
	e.id = append(e.id, r.id)
	e.time.Append(r.time)
	e.receivedAt.Append(r.receivedAt)
	e.typ.Append(r.Type)
	e.provider.Append(r.Provider)
	e.source.Append(r.Source)
	e.providerEvent.Append(r.ProviderEvent)
	e.providerEventID.Append(r.ProviderEventID)
	e.messageID.Append(r.MessageID)
	e.recipient.Append(r.Recipient)
	e.recipientDomain.Append(r.RecipientDomain)
	e.recipientHash.Append(r.RecipientHash)
	e.mailboxProvider.Append(r.MailboxProvider)
	e.campaign.Append(r.Campaign)
	for _, tag := range r.Tags {
		e.tagItems.Append(tag)
	}
	e.tags.close()
	for _, pair := range r.Metadata {
		e.metaKeys.Append(pair.Key)
		e.metaValues.Append(pair.Value)
	}
	e.metadata.close()
	e.subject.Append(r.Subject)
	e.fromDomain.Append(r.FromDomain)
	e.sendingDomain.Append(r.SendingDomain)
	e.template.Append(r.Template)
	e.bounceType.Append(r.BounceType)
	e.reason.Append(r.Reason)
	e.cause.Append(r.Cause)
	e.confidence.Append(r.Confidence)
	e.classifier.Append(r.Classifier)
	e.permanent.Append(r.Permanent.Value, r.Permanent.Known)
	e.smtpCode = append(e.smtpCode, uint16(r.SMTPCode))
	e.enhancedCode.Append(r.EnhancedCode)
	e.smtpReply.Append(r.SMTPReply)
	e.blocklist.Append(r.Blocklist)
	e.blocklistSubject.Append(r.BlocklistSubject)
	e.blocklistURL.Append(r.BlocklistURL)
	e.url.Append(r.URL)
	e.ip.Append(r.IP)
	e.userAgent.Append(r.UserAgent)
	e.country.Append(r.Country)
	e.machine.Append(r.Machine.Value, r.Machine.Known)
	e.feedbackSource.Append(r.FeedbackSource)
	e.listID.Append(r.ListID)
	e.sendingIP.Append(r.SendingIP)
	e.ipPool.Append(r.IPPool)
	e.raw.Append(r.Raw)
}
