-- Counts by minute and by hour, exact under repeats because they are counts of
-- the view events, which has none.
--
-- rates_1m is computed when it is asked. rates_1h may be asked for a year, so
-- hours that have come to rest are counted once and kept: analytics writes all
-- groups of an hour to rates_1h_sealed under one seal, then the seal and the
-- number of rows the hour had until then to hour_seals. An hour whose present
-- number of rows (hour_rows, repeats included, filled by every insert) is still
-- that of its latest seal is answered from the sealed counts; every other hour
-- is counted afresh. So a late event or a repeat makes its hour fresh again at
-- once, and no answer depends on when the sealing runs. rates_1h looks at the
-- seals once for both halves (a scalar is evaluated once a query), so that no
-- hour is in both or in neither.
--
-- Sealed counts hold no person and are kept for ever, also when the events are
-- past their retention. An event that comes for an hour of that age makes the
-- hour count what is left of it.
CREATE TABLE IF NOT EXISTS hour_rows {{on_cluster}}
(
    hour DateTime('UTC'),
    rows SimpleAggregateFunction(sum, UInt64),
    touched_at SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = {{replicated}}AggregatingMergeTree
ORDER BY hour
COMMENT 'Rows ever inserted for an hour, repeats included';

CREATE MATERIALIZED VIEW IF NOT EXISTS hour_rows_fill {{on_cluster}} TO hour_rows
AS SELECT toStartOfHour(toDateTime(time, 'UTC')) AS hour, count() AS rows, now('UTC') AS touched_at
FROM event_log
GROUP BY hour;

CREATE TABLE IF NOT EXISTS hour_seals {{on_cluster}}
(
    hour DateTime('UTC'),
    seal UInt64 COMMENT 'Nanoseconds when sealing began, one for each hour; names the rows of rates_1h_sealed',
    rows UInt64 COMMENT 'hour_rows.rows at that time'
)
ENGINE = {{replicated}}ReplacingMergeTree(seal)
ORDER BY hour
COMMENT 'The latest seal of an hour';

CREATE TABLE IF NOT EXISTS rates_1h_sealed {{on_cluster}}
(
    hour DateTime('UTC'),
    seal UInt64,
    provider LowCardinality(String),
    source LowCardinality(String),
    type LowCardinality(String),
    recipient_domain LowCardinality(String),
    mailbox_provider LowCardinality(String),
    cause LowCardinality(String),
    machine Bool,
    events UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (hour, seal, provider, source, type, recipient_domain, mailbox_provider, cause, machine)
COMMENT 'Counts of hours at rest; valid are those of the seal in hour_seals: query the view rates_1h';

CREATE VIEW IF NOT EXISTS sealed_hours {{on_cluster}}
AS SELECT s.hour AS hour, s.seal AS seal
FROM (SELECT hour, seal, rows FROM hour_seals FINAL) AS s
INNER JOIN (SELECT hour, sum(rows) AS rows FROM hour_rows GROUP BY hour) AS r
    ON s.hour = r.hour AND s.rows = r.rows;

CREATE VIEW IF NOT EXISTS rates_1m {{on_cluster}}
(
    minute DateTime('UTC') COMMENT 'Start of the minute, by the time of the event. Filter on it: a long range is quicker by hour',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    type LowCardinality(String) COMMENT 'processed, delivered, deferred, bounced, blocked, failed, opened, clicked, complained, unsubscribed, subscribed, other',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    cause LowCardinality(String) COMMENT 'Who has to act on it, where it did not arrive',
    machine Bool COMMENT 'Opens and clicks known to be of a machine',
    events UInt64 COMMENT 'How many; sum it'
)
AS SELECT
    toStartOfMinute(toDateTime(time, 'UTC')) AS minute,
    provider, source, type, recipient_domain, mailbox_provider, cause,
    ifNull(machine, false) AS machine,
    count() AS events
FROM event_log FINAL
GROUP BY minute, provider, source, type, recipient_domain, mailbox_provider, cause, machine
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE VIEW IF NOT EXISTS rates_1h {{on_cluster}}
(
    hour DateTime('UTC') COMMENT 'Start of the hour, by the time of the event. Filter on it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    type LowCardinality(String) COMMENT 'processed, delivered, deferred, bounced, blocked, failed, opened, clicked, complained, unsubscribed, subscribed, other',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    cause LowCardinality(String) COMMENT 'Who has to act on it, where it did not arrive',
    machine Bool COMMENT 'Opens and clicks known to be of a machine',
    events UInt64 COMMENT 'How many; sum it'
)
AS WITH (SELECT (groupArray(seal), groupArray(hour)) FROM sealed_hours) AS sealed
SELECT hour, provider, source, type, recipient_domain, mailbox_provider, cause, machine, events
FROM rates_1h_sealed FINAL
WHERE seal IN sealed.1
UNION ALL
WITH (SELECT (groupArray(seal), groupArray(hour)) FROM sealed_hours) AS sealed
SELECT
    toStartOfHour(toDateTime(time, 'UTC')) AS hour,
    provider, source, type, recipient_domain, mailbox_provider, cause,
    ifNull(machine, false) AS machine,
    count() AS events
FROM event_log FINAL
WHERE hour NOT IN sealed.2
GROUP BY hour, provider, source, type, recipient_domain, mailbox_provider, cause, machine
SETTINGS do_not_merge_across_partitions_select_final = 1;
