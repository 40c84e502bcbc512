-- The final counts of the hours of one day, as analytics writes them hour by hour. A
-- seal names one hour.
INSERT INTO rates_1h_sealed (hour, seal, provider, source, type, recipient_domain, mailbox_provider, cause, machine, events)
SELECT
    toStartOfHour(toDateTime(time, 'UTC')) AS of_hour, toUnixTimestamp(of_hour), provider, source, type, recipient_domain, mailbox_provider, cause,
    ifNull(machine, false) AS is_machine, count()
FROM event_log
WHERE time >= toDateTime64('{{from}}', 3, 'UTC') AND time < toDateTime64('{{from}}', 3, 'UTC') + INTERVAL 1 DAY
GROUP BY of_hour, provider, source, type, recipient_domain, mailbox_provider, cause, is_machine
