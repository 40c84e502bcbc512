-- Of a day that has an open hour (one without a valid seal), rates_1h read all events:
-- the sorting key cannot find what NOT IN keeps. It has toStartOfHour(time), so the open
-- hours are named now, and they alone are read. An hour later than all of hour_rows is open,
-- too: it is there a moment before its row in hour_rows.
CREATE OR REPLACE VIEW rates_1h {{on_cluster}}
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
AS WITH
(
    SELECT (groupArrayIf(seal, rests), groupArrayIf(hour, NOT rests), max(hour))
    FROM
    (
        SELECT r.hour AS hour, s.seal AS seal, s.rows = r.rows AS rests
        FROM (SELECT hour, sum(rows) AS rows FROM hour_rows GROUP BY hour) AS r
        LEFT JOIN (SELECT hour, seal, rows FROM hour_seals FINAL) AS s ON s.hour = r.hour
    )
) AS sealed
SELECT hour, provider, source, type, recipient_domain, mailbox_provider, cause, machine, events
FROM rates_1h_sealed FINAL
WHERE seal IN sealed.1
UNION ALL
WITH
(
    SELECT (groupArrayIf(seal, rests), groupArrayIf(hour, NOT rests), max(hour))
    FROM
    (
        SELECT r.hour AS hour, s.seal AS seal, s.rows = r.rows AS rests
        FROM (SELECT hour, sum(rows) AS rows FROM hour_rows GROUP BY hour) AS r
        LEFT JOIN (SELECT hour, seal, rows FROM hour_seals FINAL) AS s ON s.hour = r.hour
    )
) AS sealed
SELECT
    toStartOfHour(toDateTime(time, 'UTC')) AS hour,
    provider, source, type, recipient_domain, mailbox_provider, cause,
    ifNull(machine, false) AS machine,
    count() AS events
FROM event_log FINAL
WHERE toStartOfHour(time) IN sealed.2 OR toStartOfHour(time) > sealed.3
GROUP BY hour, provider, source, type, recipient_domain, mailbox_provider, cause, machine
SETTINGS do_not_merge_across_partitions_select_final = 1;
