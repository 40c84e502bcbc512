-- Which incidents were seen only in hindsight. Those of before were seen in time.
ALTER TABLE alert_log {{on_cluster}}
    ADD COLUMN IF NOT EXISTS late Bool DEFAULT false COMMENT 'Seen only after its window had passed, because its events came late: nobody was called' AFTER owed;

CREATE OR REPLACE VIEW alerts {{on_cluster}}
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
    owed UInt16 COMMENT 'Messages not delivered yet',
    late Bool COMMENT 'Seen only after its window had passed, because its events came late: nobody was called'
)
AS SELECT
    fingerprint, incident, rule, labels, state, state_since, value, peak, threshold, min_volume, delivered, bounced, blocked, causes,
    `reasons.reason`, `reasons.cause`, `reasons.count`, `reasons.sample`,
    window, since, updated_at, resolved_at, ended, inhibited_by, notified_at, owed, late
FROM alert_log FINAL;
