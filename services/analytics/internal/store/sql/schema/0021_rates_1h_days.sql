-- rates_1h answers hours at rest from counts that are kept, and counts the others. To
-- find the others it read the time of every event in the range, 28 days of them for a
-- month that is all counted. Now it reads the days that have an hour without a valid
-- seal, as a rule one. Seals and days come from one look at both tables, as before, so
-- that no hour is in both halves or in neither.
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
    SELECT (groupArrayIf(seal, rests), groupArrayIf(hour, rests), groupUniqArrayIf(toDate(hour, 'UTC'), NOT rests))
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
    SELECT (groupArrayIf(seal, rests), groupArrayIf(hour, rests), groupUniqArrayIf(toDate(hour, 'UTC'), NOT rests))
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
WHERE toDate(time, 'UTC') IN sealed.3 AND hour NOT IN sealed.2
GROUP BY hour, provider, source, type, recipient_domain, mailbox_provider, cause, machine
SETTINGS do_not_merge_across_partitions_select_final = 1;
