package ingress

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// cause is why a request was refused: a metric label and a field of log lines,
// for the operator. The sender gets less detail, since it is not authenticated.
type cause string

// The causes. docs/operations.md says of each what to do.
const (
	wrongPath           cause = "wrong_path"      // not below Prefix, and not like it either
	mistypedPath        cause = "mistyped_path"   // not below Prefix, with a word of such a URL in it
	unknownName         cause = "unknown_source"  // no source of this name
	unexpectedPath      cause = "unexpected_path" // more behind a source that takes no secret there
	notPosted           cause = "wrong_method"
	missingCredentials  cause = "missing_credentials"
	wrongCredentials    cause = "wrong_credentials"
	foreignAddress      cause = "foreign_address" // not in allow_from
	missingSignature    cause = "missing_signature"
	malformedSignature  cause = "malformed_signature" // or a value that has to accompany it
	wrongSignature      cause = "wrong_signature"     // of another key, or altered on the way: the two look alike
	oldTimestamp        cause = "old_timestamp"       // beyond the replay window
	futureTimestamp     cause = "future_timestamp"
	replayed            cause = "replayed"           // a token that came with other events before
	unknownTopic        cause = "unknown_topic"      // not in sns.topic_arns
	unknownKey          cause = "unknown_key"        // a key or certificate that is not the sender's
	rawDelivery         cause = "raw_delivery"       // of SES without the envelope of SNS: turn raw message delivery off
	unreadable          cause = "unreadable"         // before it was proven: no JSON or form to look for a signature in
	keyUnavailable      cause = "key_unavailable"    // could not be fetched
	malformedBody       cause = "malformed"          // though it is proven
	wrongContentType    cause = "wrong_content_type" // a form where JSON is read, or the other way round
	tooDeep             cause = "too_deep"
	brokenBody          cause = "broken_body" // ended early, or is not gzip
	unsupportedEncoding cause = "unsupported_encoding"
	bodyTooLarge        cause = "body_too_large" // body_bytes_max
	tooManyItems        cause = "too_many_items" // items_max, or body_bytes_max once it is taken apart
	slowBody            cause = "slow_body"
	tooManyRequests     cause = "too_many_requests" // requests_in_flight_max
	tooManyBytes        cause = "too_many_bytes"    // body_bytes_in_flight_max
	starting            cause = "starting"
	notStored           cause = "not_stored" // Kafka did not acknowledge
)

// causesOf returns the causes of an outcome, nil where nothing was refused.
func causesOf(o outcome) []cause {
	switch o {
	case unknownSource:
		return []cause{wrongPath, mistypedPath, unknownName, unexpectedPath}
	case wrongMethod:
		return []cause{notPosted}
	case unauthenticated:
		return []cause{
			missingCredentials, wrongCredentials, foreignAddress, missingSignature, malformedSignature, wrongSignature,
			oldTimestamp, futureTimestamp, replayed, unknownTopic, unknownKey, rawDelivery, unreadable, wrongContentType,
		}
	case unproven:
		return []cause{keyUnavailable}
	case malformed:
		return []cause{malformedBody, wrongContentType, tooDeep, brokenBody}
	case unsupported:
		return []cause{unsupportedEncoding}
	case tooLarge:
		return []cause{bodyTooLarge, tooManyItems}
	case slow:
		return []cause{slowBody}
	case overloaded:
		return []cause{tooManyRequests, tooManyBytes}
	case notReady:
		return []cause{starting}
	case unpublished:
		return []cause{notStored}
	default:
		return nil
	}
}

// statusOf returns what senders are answered at an outcome.
func statusOf(o outcome, a provider.Answers) int {
	switch o {
	case unknownSource:
		return http.StatusNotFound
	case wrongMethod:
		return http.StatusMethodNotAllowed
	case unauthenticated:
		return a.Unauthenticated
	case malformed:
		return a.Malformed
	case unsupported:
		if a.Malformed != http.StatusBadRequest {
			return a.Malformed // at other refusals it may drop the events
		}
		return http.StatusUnsupportedMediaType
	case tooLarge:
		return a.TooLarge
	case slow:
		return a.Slow
	default:
		return a.Unavailable
	}
}

// causeOfProof says why headers and URL did not prove a request.
func causeOfProof(p auth.Proof) cause {
	switch p {
	case auth.NoCredentials:
		return missingCredentials
	case auth.ForeignAddress:
		return foreignAddress
	default:
		return wrongCredentials
	}
}

// causeOfVerdict says why the raw bytes did not prove a request.
func (x *exchange) causeOfVerdict(v webhookverify.Verdict) cause {
	switch v {
	case webhookverify.NoSignature:
		return missingSignature
	case webhookverify.BadSignature:
		return malformedSignature
	case webhookverify.Unreadable:
		return x.causeOfBody(unreadable)
	case webhookverify.OldTime:
		return oldTimestamp
	case webhookverify.FutureTime:
		return futureTimestamp
	case webhookverify.UsedToken:
		return replayed
	case webhookverify.UnknownTopic:
		return unknownTopic
	case webhookverify.UnknownKey:
		return unknownKey
	case webhookverify.Unwrapped:
		return rawDelivery
	default:
		return wrongSignature
	}
}

// causeOfBody says why a body could not be read: it is of another kind than the
// provider's, or broken. Many clients say urlencoded of whatever they send, so
// that alone is not a sign.
func (x *exchange) causeOfBody(broken cause) cause {
	if x.source.inQuery {
		return broken // it takes parameters, forms and JSON
	}
	media, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	start := bytes.TrimLeft(x.body, " \t\r\n")
	isJSON := len(start) > 0 && (start[0] == '{' || start[0] == '[')
	saysJSON := err == nil && strings.HasSuffix(media, "json")
	if x.source.readsForms && (isJSON || saysJSON) || !x.source.readsForms && !isJSON && !saysJSON && err == nil {
		return wrongContentType
	}
	return broken
}

// causeOfPath distinguishes a mistyped webhook URL from the paths that scanners
// try on every server.
func (s *Service) causeOfPath(path string) cause {
	for segment := range strings.SplitSeq(path, "/") {
		word := strings.ToLower(segment)
		if _, ok := s.sources[word]; ok || strings.HasPrefix(word, "webhook") || word == "v1" {
			return mistypedPath
		}
	}
	return wrongPath
}

// noteRefusal counts a refusal and says it in the log, a line a source and cause
// and period. Nothing the sender wrote is in it.
func (s *Service) noteRefusal(x *exchange, no *refusal) {
	name := no.sourceName
	if x.source != nil {
		name = x.source.name
	}
	s.metrics.refusals.WithLabelValues(name, strconv.Itoa(no.status), string(no.cause)).Inc()
	if no.cause == notStored {
		return // said already, with what Kafka said
	}
	s.throttled.Warn("webhook was refused", telemetry.Source(name), telemetry.Reason(string(no.cause)), telemetry.Status(no.status))
}
