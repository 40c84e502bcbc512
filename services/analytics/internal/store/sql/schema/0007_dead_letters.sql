-- What nobody could use, with its bytes. A retry of the same item has the same
-- id and collapses.
CREATE TABLE IF NOT EXISTS dead_letter_log {{on_cluster}}
(
    id String,
    time DateTime64(3, 'UTC'),
    service LowCardinality(String),
    reason LowCardinality(String),
    detail String,
    provider LowCardinality(String),
    source LowCardinality(String),
    origin String,
    bytes String CODEC(ZSTD(1)),
    received_at Nullable(DateTime64(3, 'UTC')),
    stored_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY id
TTL stored_at + toIntervalDay(90)
COMMENT 'Dead letters with repeats not yet merged away: query the view dead_letters';

CREATE VIEW IF NOT EXISTS dead_letters {{on_cluster}}
(
    id String COMMENT 'Hash of origin and bytes: a retry has the same',
    time DateTime64(3, 'UTC') COMMENT 'When it was given up',
    service LowCardinality(String) COMMENT 'Who gave up: ingress, analytics, ...',
    reason LowCardinality(String) COMMENT 'One word of the closed set of the service',
    detail String COMMENT 'The error, without secrets or addresses',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ..., where known',
    source LowCardinality(String) COMMENT 'The configured account, where known',
    origin String COMMENT 'topic/partition/offset of the record, where it was one',
    bytes String COMMENT 'As they came',
    received_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the ingress took it'
)
AS SELECT id, time, service, reason, detail, provider, source, origin, bytes, received_at
FROM dead_letter_log FINAL;
