package telemetry

import (
	"strings"
	"time"

	"go.uber.org/zap"
)

// The fields a log line may carry. Their keys are defined here only, so that
// one query finds the same fact in every service. There is none for an address,
// a body or a secret on purpose: a recipient is its hash.

// Key is the key of a field that distinguishes kinds of lines; see Throttled.
type Key string

// The keys whose values are few: they come from the configuration or from a
// closed set.
const (
	ByTopic    Key = "topic"
	BySource   Key = "source"
	ByReason   Key = "reason"
	ByName     Key = "name"
	ByReceiver Key = "receiver"
)

// Err is the fault, last on the line.
func Err(err error) zap.Field { return zap.NamedError("err", err) }

// Topic is a Kafka topic.
func Topic(name string) zap.Field { return zap.String("topic", name) }

// Partition is a Kafka partition.
func Partition(p int32) zap.Field { return zap.Int32("partition", p) }

// Offset is a Kafka offset.
func Offset(o int64) zap.Field { return zap.Int64("offset", o) }

// Group is a Kafka consumer group.
func Group(name string) zap.Field { return zap.String("group", name) }

// Provider is an email provider's name.
func Provider(name string) zap.Field { return zap.String("provider", name) }

// Source is a configured source's name.
func Source(name string) zap.Field { return zap.String("source", name) }

// RecipientHash is schemas.Event.RecipientHash.
func RecipientHash(hash string) zap.Field { return zap.String("recipient_hash", hash) }

// Rows is how many rows, records or events a batch has.
func Rows(n int) zap.Field { return zap.Int("rows", n) }

// Bytes is a size in bytes.
func Bytes(n int) zap.Field { return zap.Int("bytes", n) }

// Attempt counts tries from 1.
func Attempt(n int) zap.Field { return zap.Int("attempt", n) }

// Duration is how long it took, in seconds.
func Duration(d time.Duration) zap.Field { return zap.Float64("duration_s", d.Seconds()) }

// Delay is how long until the next try, in seconds.
func Delay(d time.Duration) zap.Field { return zap.Float64("delay_s", d.Seconds()) }

// Status is an HTTP status code.
func Status(code int) zap.Field { return zap.Int("status", code) }

// Method is an HTTP method.
func Method(m string) zap.Field { return zap.String("method", m) }

// Addr is a listen address of ours.
func Addr(a string) zap.Field { return zap.String("addr", a) }

// MetricsAddr is the host:port of /metrics.
func MetricsAddr(a string) zap.Field { return zap.String("metrics_addr", a) }

// Name is a named part: a task, a migration, a rule.
func Name(n string) zap.Field { return zap.String("name", n) }

// Reason is one word of a closed set that says why.
func Reason(r string) zap.Field { return zap.String("reason", r) }

// Fate is what becomes of the work an error stopped.
func Fate(f string) zap.Field { return zap.String("fate", f) }

// Fingerprint is schemas.Alert.Fingerprint.
func Fingerprint(f string) zap.Field { return zap.String("fingerprint", f) }

// Incident is schemas.Alert.Incident.
func Incident(i string) zap.Field { return zap.String("incident", i) }

// Receiver is the name of a notification receiver.
func Receiver(r string) zap.Field { return zap.String("receiver", r) }

// Detail is what a library said, free text without payloads.
func Detail(d string) zap.Field { return zap.String("detail", d) }

// Partitions is a set of partitions by topic.
func Partitions(m map[string][]int32) zap.Field { return zap.Any("partitions", m) }

// Held counts lines of the same kind that were not written.
func Held(n int64) zap.Field { return zap.Int64("lines_held", n) }

// Days is how many days something spans.
func Days(n int) zap.Field { return zap.Int("days", n) }

// Tasks are the names of a service's tasks, in the order of their start.
func Tasks(names []string) zap.Field { return zap.Strings("tasks", names) }

// By names who asked for a change. What follows an @ is left out: a log holds no
// address.
func By(who string) zap.Field {
	name, _, _ := strings.Cut(who, "@")
	return zap.String("by", name)
}

// Until is when something ends.
func Until(t time.Time) zap.Field { return zap.Time("until", t) }
