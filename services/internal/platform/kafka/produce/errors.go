package produce

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// RecordError says which record of a request failed first. The others may have
// been written.
type RecordError struct {
	Record *kgo.Record
	Err    error
}

// Error names the topic and the size, never the content.
func (e *RecordError) Error() string {
	return fmt.Sprintf("publish %d bytes to %q: %v", kafka.RecordSize(e.Record), e.Record.Topic, e.Err)
}

// Unwrap returns the cause.
func (e *RecordError) Unwrap() error { return e.Err }

// reasonOf is the metric label of a failed publish: a closed set.
func reasonOf(err error) string {
	for _, r := range reasons() {
		if errors.Is(err, r.err) {
			return r.label
		}
	}
	return "other"
}

type reason struct {
	err   error
	label string
}

func reasons() []reason {
	return []reason{
		{kafka.ErrBufferFull, "buffer_full"},
		{kafka.ErrTimeout, "timeout"},
		{kafka.ErrTooLarge, "too_large"},
		{kafka.ErrUnknownTopic, "unknown_topic"},
		{kafka.ErrRecreated, "topic_remade"},
		{kafka.ErrDenied, "denied"},
		{kafka.ErrClosed, "closed"},
	}
}
