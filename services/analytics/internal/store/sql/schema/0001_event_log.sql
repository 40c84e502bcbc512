-- The base table of all events, one row a Kafka record until merges collapse
-- repeats. People query the view `events`.
--
-- Every column of ORDER BY and PARTITION BY is a pure function of what the
-- provider sent, so a repeat of an event, whenever and however it comes, has the
-- same key in the same partition and collapses with the first. `time` itself is
-- in the key: without it FINAL reads all partitions (ClickHouse 26.3 and later).
-- A day is a partition, and old days become one part, over which FINAL costs
-- nothing. Times that no calendar of ours holds share partition 0.
-- Retention counts from receipt, not from `time`: a back-fill of old events is
-- kept as long as any other. `mailstream migrate` sets it from the configuration.
CREATE TABLE IF NOT EXISTS event_log {{on_cluster}}
(
    id UUID COMMENT 'UUIDv8: milliseconds of time, then a hash; the same event has the same id whenever it is sent',
    type LowCardinality(String) COMMENT 'processed, delivered, deferred, bounced, blocked, failed, opened, clicked, complained, unsubscribed, subscribed, other',
    time DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the provider' CODEC(Delta(8), LZ4),
    received_at DateTime64(3, 'UTC') COMMENT 'When the ingress took it' CODEC(Delta(8), LZ4),
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    provider_event LowCardinality(String) COMMENT 'The own word of the provider for type',
    provider_event_id String COMMENT 'Evidence only: may change when the provider sends again',
    message_id String COMMENT 'Exact, also beyond 2^53',
    recipient String COMMENT 'The address as received',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    recipient_hash String COMMENT 'Keyed hash of the canonical address: the same person at every provider',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    campaign LowCardinality(String),
    tags Array(String),
    metadata Map(String, String) COMMENT 'What the sender attached to the message',
    bounce_type LowCardinality(String) COMMENT 'hard or soft, bounced only',
    reason LowCardinality(String) COMMENT 'Why it did not arrive',
    cause LowCardinality(String) COMMENT 'Who has to act: recipient, sender, content, provider, network, other',
    classifier LowCardinality(String) COMMENT 'Version of the data file that gave reason and cause',
    permanent Nullable(Bool) COMMENT 'Trying this address again is pointless; NULL is unknown',
    smtp_code UInt16 COMMENT '0 is unknown',
    enhanced_code LowCardinality(String) COMMENT 'RFC 3463, 5.1.1',
    smtp_reply String,
    url String COMMENT 'The link, clicked only',
    ip String COMMENT 'Of who opened or clicked',
    user_agent String,
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2',
    machine Nullable(Bool) COMMENT 'A prefetch or scanner did it, not a person; NULL is unknown',
    feedback_source LowCardinality(String) COMMENT 'Feedback loop of a complaint',
    list_id String,
    sending_ip String,
    raw String COMMENT 'The item of the provider exactly as received, JSON' CODEC(ZSTD(1)),
    kafka_topic LowCardinality(String) COMMENT 'Where the row was read, to reconcile with the log',
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), LZ4),
    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_recipient recipient TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_person recipient_hash TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY if(time >= toDateTime64('2000-01-01 00:00:00', 3, 'UTC') AND time < toDateTime64('2100-01-01 00:00:00', 3, 'UTC'), toYYYYMMDD(time), 0)
ORDER BY (source, type, toStartOfHour(time), time, id)
TTL toDateTime(received_at) + toIntervalDay(400)
SETTINGS
    ttl_only_drop_parts = 1,
    min_age_to_force_merge_seconds = 21600,
    min_age_to_force_merge_on_partition_only = 1
COMMENT 'Events with repeats not yet merged away: query the view events';
