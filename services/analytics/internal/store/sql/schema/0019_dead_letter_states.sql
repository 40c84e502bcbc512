-- What became of dead letters: the latest state of each, as records of the topic of
-- dead letters say it. It is kept longer than they are, so that none comes back open.
CREATE TABLE IF NOT EXISTS dead_letter_states {{on_cluster}}
(
    id String,
    state LowCardinality(String) COMMENT 'redriven or discarded',
    at DateTime64(3, 'UTC'),
    operation String,
    note String,
    version UInt64 COMMENT 'Milliseconds of the Kafka record, then the low 20 bits of its offset'
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY id
TTL toDateTime(at) + toIntervalDay(7300)
COMMENT 'States of dead letters not yet merged: query the view dead_letters';

CREATE OR REPLACE VIEW dead_letters {{on_cluster}}
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
    received_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the ingress took it',
    state LowCardinality(String) COMMENT 'open, redriven (its events are published) or discarded',
    state_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when; NULL of open ones',
    operation String COMMENT 'That set the state',
    note String COMMENT 'What a person wrote with it'
)
AS SELECT
    l.id AS id, l.time AS time, l.service AS service, l.reason AS reason, l.detail AS detail, l.provider AS provider, l.source AS source,
    l.origin AS origin, l.bytes AS bytes, l.received_at AS received_at,
    if(empty(s.state), 'open', s.state) AS state, if(empty(s.state), NULL, s.at) AS state_at, s.operation AS operation, s.note AS note
FROM (SELECT id, time, service, reason, detail, provider, source, origin, bytes, received_at FROM dead_letter_log FINAL) AS l
LEFT JOIN (SELECT id, state, at, operation, note FROM dead_letter_states FINAL) AS s ON l.id = s.id
SETTINGS apply_mutations_on_fly = 1;
