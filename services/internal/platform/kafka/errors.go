package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// The reasons a Publish did not end well. Test them with errors.Is.
var (
	// ErrBufferFull says that the producer already holds as much as it may:
	// nothing of this request was taken. Fate: retry, soon.
	ErrBufferFull = errors.New("producer buffer is full")
	// ErrTimeout says that no answer came in time. The records may still be
	// written, so a repeat may double them. Fate: retry.
	ErrTimeout = errors.New("no acknowledgement in time")
	// ErrTooLarge says that a record exceeds what its topic takes. Fate: dead letter.
	ErrTooLarge = errors.New("record is too large")
	// ErrUnknownTopic says that the brokers do not know the topic. Fate: retry,
	// because a broker that just started answers so, too; Watch decides finally.
	ErrUnknownTopic = errors.New("topic does not exist")
	// ErrRecreated says that the topic was deleted, and perhaps recreated: same name,
	// different topic ID. Fate: retry for a producer, which writes to the new topic; a
	// Watch ends readers with start again.
	ErrRecreated = errors.New("topic was deleted or made anew")
	// ErrDenied says that the brokers refuse our credentials or our right to the
	// topic or group. Fate: halt.
	ErrDenied = errors.New("not authorized")
	// ErrClosed says that the producer was closed. Fate: retry, elsewhere.
	ErrClosed = errors.New("producer is closed")
	// ErrDiverged says that a position is beyond the end of its partition: the topic
	// is not the one it was read from, or brokers lost records. Fate: start again;
	// the service compares what it built from the topic with the topic.
	ErrDiverged = errors.New("position is beyond the end of the partition")
)

// Classify gives an error of the library one of the names above and its fate.
func Classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kgo.ErrMaxBuffered):
		return named(ErrBufferFull, err, fate.Retry)
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries), errors.Is(err, context.DeadlineExceeded):
		return named(ErrTimeout, err, fate.Retry)
	case errors.Is(err, kgo.ErrClientClosed), errors.Is(err, kgo.ErrAborting):
		return named(ErrClosed, err, fate.Retry)
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return named(ErrTooLarge, err, fate.DeadLetter)
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InvalidTopicException):
		return named(ErrUnknownTopic, err, fate.Retry)
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		return named(ErrRecreated, err, fate.Retry)
	case denied(err):
		return named(ErrDenied, err, fate.Halt)
	default:
		return err
	}
}

// EachFault calls report with every fault of a poll, classified. The end of ctx is
// no fault; ctx is nil for a poll that does not wait.
func EachFault(ctx context.Context, fetches kgo.Fetches, report func(at TopicPartition, err error)) {
	fetches.EachError(func(topic string, partition int32, err error) {
		if ctx == nil || ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
			report(TopicPartition{topic, partition}, Classify(err))
		}
	})
}

func denied(err error) bool {
	for _, e := range []*kerr.Error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func named(name, cause error, f fate.Fate) error {
	return fate.Wrap(f, fmt.Errorf("%w: %w", name, cause))
}
