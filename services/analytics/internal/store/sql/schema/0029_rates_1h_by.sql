-- Counts by hour of each campaign, sending address and sending domain, and of all mail
-- without the recipient's domain. rates_15m counts them from the events of all days that
-- are asked for, and most rows of rates_1h tell apart domains. They are counted and kept
-- with those of rates_1h, under the same seal. A seal of before has none: its hour is
-- counted from the events, as an open one.
CREATE TABLE IF NOT EXISTS rates_1h_by_sealed {{on_cluster}}
(
    dimension LowCardinality(String),
    hour DateTime('UTC'),
    seal UInt64,
    value String,
    provider LowCardinality(String),
    source LowCardinality(String),
    type LowCardinality(String),
    mailbox_provider LowCardinality(String),
    cause LowCardinality(String),
    machine Bool,
    events UInt64
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (dimension, hour, seal, value, provider, source, type, mailbox_provider, cause, machine)
COMMENT 'Counts of hours at rest; valid are those of the seal in hour_seals: query the view rates_1h_by';

ALTER TABLE hour_seals {{on_cluster}}
    ADD COLUMN IF NOT EXISTS dimensions UInt8 COMMENT '1: the seal names rows of rates_1h_by_sealed, too';

-- rates_1h_by(dimension = 'campaign'), or sending_ip, sending_domain, all.
CREATE VIEW IF NOT EXISTS rates_1h_by {{on_cluster}}
AS WITH
(
    SELECT (groupArrayIf(seal, rests), groupArrayIf(hour, NOT rests), max(hour))
    FROM
    (
        SELECT r.hour AS hour, s.seal AS seal, s.rows = r.rows AND s.dimensions = 1 AS rests
        FROM (SELECT hour, sum(rows) AS rows FROM hour_rows GROUP BY hour) AS r
        LEFT JOIN (SELECT hour, seal, rows, dimensions FROM hour_seals FINAL) AS s ON s.hour = r.hour
        WHERE NOT throwIf({dimension:String} NOT IN ('campaign', 'sending_ip', 'sending_domain', 'all'), 'dimension is campaign, sending_ip, sending_domain or all')
    )
) AS sealed
SELECT hour, value, provider, source, type, mailbox_provider, cause, machine, events
FROM rates_1h_by_sealed FINAL
WHERE dimension = {dimension:String} AND seal IN sealed.1
UNION ALL
WITH
(
    SELECT (groupArrayIf(seal, rests), groupArrayIf(hour, NOT rests), max(hour))
    FROM
    (
        SELECT r.hour AS hour, s.seal AS seal, s.rows = r.rows AND s.dimensions = 1 AS rests
        FROM (SELECT hour, sum(rows) AS rows FROM hour_rows GROUP BY hour) AS r
        LEFT JOIN (SELECT hour, seal, rows, dimensions FROM hour_seals FINAL) AS s ON s.hour = r.hour
        WHERE NOT throwIf({dimension:String} NOT IN ('campaign', 'sending_ip', 'sending_domain', 'all'), 'dimension is campaign, sending_ip, sending_domain or all')
    )
) AS sealed
SELECT
    toStartOfHour(toDateTime(time, 'UTC')) AS hour,
    multiIf({dimension:String} = 'campaign', toString(campaign), {dimension:String} = 'sending_ip', sending_ip, {dimension:String} = 'sending_domain', toString(sending_domain), '') AS value,
    provider, source, type, mailbox_provider, cause,
    ifNull(machine, false) AS machine,
    count() AS events
FROM event_log FINAL
WHERE toStartOfHour(time) IN sealed.2 OR toStartOfHour(time) > sealed.3
GROUP BY hour, value, provider, source, type, mailbox_provider, cause, machine
SETTINGS do_not_merge_across_partitions_select_final = 1;
