-- Writes the final counts of one hour by campaign, sender and all mail, under the seal of
-- seal_counts.sql. Where nearly every event has a campaign of its own, there are as many
-- groups as events: these are counted on disk.
INSERT INTO rates_1h_by_sealed (dimension, hour, seal, value, provider, source, type, mailbox_provider, cause, machine, events)
SELECT
    by.1, {hour:DateTime('UTC')}, {seal:UInt64}, by.2,
    provider, source, type, mailbox_provider, cause, ifNull(machine, false) AS is_machine, count()
FROM events
ARRAY JOIN [('all', ''), ('campaign', toString(campaign)), ('sending_ip', sending_ip), ('sending_domain', toString(sending_domain))] AS by
WHERE time >= toDateTime64({hour:DateTime('UTC')}, 3, 'UTC') AND time < toDateTime64({hour:DateTime('UTC')}, 3, 'UTC') + toIntervalHour(1)
GROUP BY by, provider, source, type, mailbox_provider, cause, is_machine
SETTINGS max_bytes_before_external_group_by = 268435456
