package store

import (
	"encoding/json"
	"errors"

	"github.com/mailstream/mailstream/services/analytics/internal/jsonscan"
)

// event is one event as slices of its JSON text, so that a row is appended to
// the columns only when all of it is known to be good. Fields stand in the
// order of schemas.Event.
type event struct {
	id                                                                    [16]byte
	time, receivedAt                                                      int64 // Unix milliseconds
	hasID, hasTime, hasReceived                                           bool
	typ, provider, source                                                 []byte
	providerEvent, providerEventID                                        []byte
	messageID, recipient, recipientDomain, recipientHash, mailboxProvider []byte
	campaign                                                              []byte
	tags                                                                  [][]byte
	metadata                                                              [][2][]byte
	bounceType, reason, cause, classifier, enhancedCode, smtpReply        []byte
	confidence, blocklist, blocklistSubject, blocklistURL                 []byte
	permanent, hasPermanent                                               bool
	smtpCode                                                              uint16
	url, ip, userAgent, country                                           []byte
	machine, hasMachine                                                   bool
	feedbackSource, listID, sendingIP, raw                                []byte
}

// smtpCodeMax is what the column holds; real codes end at 599.
const smtpCodeMax = 1<<16 - 1

// read fills e from value. Unknown fields are skipped: fields are added before
// every consumer knows them.
func (e *event) read(s *jsonscan.Scanner, value []byte) error {
	*e = event{tags: e.tags[:0], metadata: e.metadata[:0]}
	s.Reset(value)
	if err := s.Object(); err != nil {
		return notJSON(err)
	}
	for {
		key, ok, err := s.Key()
		if err != nil {
			return notJSON(err)
		}
		if !ok {
			break
		}
		if s.Null() {
			continue
		}
		if err := e.field(s, key); err != nil {
			return fieldFault(key, value, err)
		}
	}
	if err := s.End(); err != nil {
		return notJSON(err)
	}
	return e.complete()
}

func notJSON(err error) error { return faultf(NotJSON, "%v", err) }

// keyBytesMax bounds what a fault repeats of a key that somebody else wrote.
const keyBytesMax = 40

func fieldFault(key, value []byte, err error) error {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	if !json.Valid(value) {
		return notJSON(err)
	}
	return faultf(BadField, "%.*q: %v", keyBytesMax, key, err)
}

// complete checks that what every event must have is there.
func (e *event) complete() error {
	for _, f := range [...]struct {
		name string
		ok   bool
	}{
		{"id", e.hasID}, {"type", len(e.typ) > 0}, {"time", e.hasTime}, {"received_at", e.hasReceived},
		{"provider", len(e.provider) > 0}, {"source", len(e.source) > 0},
	} {
		if !f.ok {
			return faultf(MissingField, "%q", f.name)
		}
	}
	return nil
}

// field reads the value of one member. A key it does not know is skipped.
func (e *event) field(s *jsonscan.Scanner, key []byte) (err error) {
	switch string(key) {
	case "id":
		e.hasID = true
		return readUUID(s, &e.id)
	case "time":
		e.hasTime = true
		e.time, err = readTime(s, "time")
	case "received_at":
		e.hasReceived = true
		e.receivedAt, err = readTime(s, "received_at")
	case "tags":
		e.tags, err = readStrings(s, e.tags)
	case "metadata":
		e.metadata, err = readPairs(s, e.metadata)
	case "permanent":
		e.hasPermanent = true
		e.permanent, err = s.Bool()
	case "machine":
		e.hasMachine = true
		e.machine, err = s.Bool()
	case "smtp_code":
		var n uint64
		n, err = s.Uint(smtpCodeMax)
		e.smtpCode = uint16(n)
	case "raw":
		e.raw, err = s.Raw()
	default:
		if field := e.text(key); field != nil {
			*field, err = s.String()
		} else {
			_, err = s.Raw()
		}
	}
	return err
}

// text returns where the string field called key goes, nil when there is none.
func (e *event) text(key []byte) *[]byte {
	switch string(key) {
	case "type":
		return &e.typ
	case "provider":
		return &e.provider
	case "source":
		return &e.source
	case "provider_event":
		return &e.providerEvent
	case "provider_event_id":
		return &e.providerEventID
	case "message_id":
		return &e.messageID
	case "recipient":
		return &e.recipient
	case "recipient_domain":
		return &e.recipientDomain
	case "recipient_hash":
		return &e.recipientHash
	case "mailbox_provider":
		return &e.mailboxProvider
	case "campaign":
		return &e.campaign
	case "bounce_type":
		return &e.bounceType
	case "reason":
		return &e.reason
	case "cause":
		return &e.cause
	case "confidence":
		return &e.confidence
	case "classifier":
		return &e.classifier
	case "enhanced_code":
		return &e.enhancedCode
	case "smtp_reply":
		return &e.smtpReply
	case "blocklist":
		return &e.blocklist
	case "blocklist_subject":
		return &e.blocklistSubject
	case "blocklist_url":
		return &e.blocklistURL
	case "url":
		return &e.url
	case "ip":
		return &e.ip
	case "user_agent":
		return &e.userAgent
	case "country":
		return &e.country
	case "feedback_source":
		return &e.feedbackSource
	case "list_id":
		return &e.listID
	case "sending_ip":
		return &e.sendingIP
	}
	return nil
}
