-- Writes the final counts of one hour: reads the key columns of that hour's
-- events.
INSERT INTO rates_1h_sealed (hour, seal, provider, source, type, recipient_domain, mailbox_provider, cause, machine, events)
SELECT
    {hour:DateTime('UTC')}, {seal:UInt64},
    provider, source, type, recipient_domain, mailbox_provider, cause, ifNull(machine, false) AS is_machine, count()
FROM events
WHERE time >= toDateTime64({hour:DateTime('UTC')}, 3, 'UTC') AND time < toDateTime64({hour:DateTime('UTC')}, 3, 'UTC') + toIntervalHour(1)
GROUP BY provider, source, type, recipient_domain, mailbox_provider, cause, is_machine
