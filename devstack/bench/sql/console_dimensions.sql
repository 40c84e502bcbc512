-- The final counts of the hours of one day by campaign, sender and all mail, under the seals
-- of console_counts.sql.
INSERT INTO rates_1h_by_sealed (dimension, hour, seal, value, provider, source, type, mailbox_provider, cause, machine, events)
SELECT
    by.1, toStartOfHour(toDateTime(time, 'UTC')) AS of_hour, toUnixTimestamp(of_hour), by.2, provider, source, type, mailbox_provider, cause,
    ifNull(machine, false) AS is_machine, count()
FROM event_log
ARRAY JOIN [('all', ''), ('campaign', toString(campaign)), ('sending_ip', sending_ip), ('sending_domain', toString(sending_domain))] AS by
WHERE time >= toDateTime64('{{from}}', 3, 'UTC') AND time < toDateTime64('{{from}}', 3, 'UTC') + INTERVAL 1 DAY
GROUP BY of_hour, by, provider, source, type, mailbox_provider, cause, is_machine
