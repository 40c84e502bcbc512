-- Alerts and their incidents, as email.alerts says them: one row an incident,
-- its latest state.
CREATE TABLE IF NOT EXISTS alert_log {{on_cluster}}
(
    fingerprint String,
    incident String,
    version UInt64 COMMENT 'Alert.Version: the highest is the latest state',
    rule LowCardinality(String),
    labels Map(String, String),
    state LowCardinality(String),
    state_since Nullable(DateTime64(3, 'UTC')),
    value Float64,
    peak Float64,
    threshold Float64,
    min_volume UInt64,
    delivered UInt64,
    bounced UInt64,
    blocked UInt64,
    causes Map(String, UInt64),
    `reasons.reason` Array(LowCardinality(String)),
    `reasons.cause` Array(LowCardinality(String)),
    `reasons.count` Array(UInt64),
    `reasons.sample` Array(String),
    window String,
    since DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    resolved_at Nullable(DateTime64(3, 'UTC')),
    ended LowCardinality(String),
    inhibited_by String,
    notified_at Nullable(DateTime64(3, 'UTC')),
    owed UInt16
)
ENGINE = {{replicated}}ReplacingMergeTree(version)
ORDER BY (fingerprint, incident)
TTL toDateTime(updated_at) + toIntervalDay(400)
COMMENT 'Records of email.alerts not yet merged: query the view alerts';

CREATE VIEW IF NOT EXISTS alerts {{on_cluster}}
(
    fingerprint String COMMENT 'Of rule and labels',
    incident String COMMENT 'One a firing period',
    rule LowCardinality(String) COMMENT 'Name of the rule',
    labels Map(String, String) COMMENT 'What it is about: source, recipient_domain, ...',
    state LowCardinality(String) COMMENT 'pending, firing, recovering, resolved',
    state_since Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the state',
    value Float64 COMMENT 'The rate, 0 to 1',
    peak Float64 COMMENT 'The highest rate of the incident',
    threshold Float64 COMMENT 'The line it crossed',
    min_volume UInt64 COMMENT 'Fewer events than this are not judged',
    delivered UInt64 COMMENT 'Unique events in the window',
    bounced UInt64 COMMENT 'Unique events in the window',
    blocked UInt64 COMMENT 'Unique events in the window',
    causes Map(String, UInt64) COMMENT 'Blocked by cause',
    `reasons.reason` Array(LowCardinality(String)) COMMENT 'The most frequent reasons, largest first',
    `reasons.cause` Array(LowCardinality(String)) COMMENT 'Their causes',
    `reasons.count` Array(UInt64) COMMENT 'How often each came',
    `reasons.sample` Array(String) COMMENT 'One reply each',
    window String COMMENT 'Length of the window, 15m0s',
    since DateTime64(3, 'UTC') COMMENT 'Start of the incident',
    updated_at DateTime64(3, 'UTC') COMMENT 'When this state was written',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was over',
    ended LowCardinality(String) COMMENT 'Why it is over: recovered, no_traffic, lapsed, rule_gone',
    inhibited_by String COMMENT 'Fingerprint of the alert whose message covers this one',
    notified_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the first message about it was delivered',
    owed UInt16 COMMENT 'Messages not delivered yet'
)
AS SELECT
    fingerprint, incident, rule, labels, state, state_since, value, peak, threshold, min_volume, delivered, bounced, blocked, causes,
    `reasons.reason`, `reasons.cause`, `reasons.count`, `reasons.sample`,
    window, since, updated_at, resolved_at, ended, inhibited_by, notified_at, owed
FROM alert_log FINAL;
