-- Who must not be mailed, as email.suppressions says it: the latest record of an
-- address wins, a deleted one is gone. For reports; senders ask the suppression
-- service.
CREATE TABLE IF NOT EXISTS suppression_log {{on_cluster}}
(
    recipient_hash String,
    version UInt64 COMMENT 'Milliseconds of the Kafka record, then the low 20 bits of its offset',
    deleted UInt8 COMMENT '1: the record was a tombstone',
    address String,
    updated_at DateTime64(3, 'UTC'),
    `entries.scope` Array(LowCardinality(String)),
    `entries.reason` Array(LowCardinality(String)),
    `entries.added_at` Array(Nullable(DateTime64(3, 'UTC'))),
    `entries.removed_at` Array(Nullable(DateTime64(3, 'UTC'))),
    `entries.expires_at` Array(Nullable(DateTime64(3, 'UTC'))),
    `entries.since` Array(Nullable(DateTime64(3, 'UTC'))),
    `entries.evidence` Array(String),
    `entries.provider` Array(LowCardinality(String)),
    `entries.source` Array(LowCardinality(String)),
    `entries.note` Array(String),
    `entries.removed_by` Array(String),
    `entries.removed_note` Array(String)
)
ENGINE = {{replicated}}ReplacingMergeTree(version, deleted)
ORDER BY recipient_hash
COMMENT 'Records of email.suppressions not yet merged: query the view suppressions';

CREATE VIEW IF NOT EXISTS suppressions {{on_cluster}}
(
    recipient_hash String COMMENT 'Keyed hash of the canonical address',
    address String COMMENT 'As first seen; empty once erased',
    scope LowCardinality(String) COMMENT 'account, stream:<name> or list:<id>',
    reason LowCardinality(String) COMMENT 'hard_bounce, soft_bounce, complaint, unsubscribe, provider_suppressed, manual',
    active Bool COMMENT 'The entry holds now: added not before it was removed, and not expired',
    since Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the present active period, by event time; NULL: none was added',
    added_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest event that added it; NULL: it was only removed',
    removed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest event that lifted it',
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'NULL: never',
    evidence String COMMENT 'Id of the event, or the API request, behind added_at',
    provider LowCardinality(String) COMMENT 'Who reported it',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    note String COMMENT 'What a person wrote when adding it',
    removed_by String COMMENT 'Id of the event, or the API request, behind removed_at',
    removed_note String COMMENT 'What a person wrote when lifting it',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the record was written'
)
AS SELECT
    recipient_hash, address,
    scope, reason,
    isNotNull(added_at) AND (isNull(removed_at) OR added_at >= removed_at) AND (isNull(expires_at) OR expires_at > now64(3)) AS active,
    ifNull(stated_since, added_at) AS since,
    added_at, removed_at, expires_at, evidence, provider, source, note, removed_by, removed_note, updated_at
FROM suppression_log FINAL
ARRAY JOIN
    `entries.scope` AS scope, `entries.reason` AS reason, `entries.added_at` AS added_at, `entries.removed_at` AS removed_at,
    `entries.expires_at` AS expires_at, `entries.since` AS stated_since, `entries.evidence` AS evidence,
    `entries.provider` AS provider, `entries.source` AS source, `entries.note` AS note,
    `entries.removed_by` AS removed_by, `entries.removed_note` AS removed_note;
