-- The ledger of hours: counts of hours that still fill. Reads the events of these hours,
-- as the key has the hour.
WITH toBool(type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}) AS refused
SELECT toStartOfHour(time) AS hour, source, type, mailbox_provider, refused, count() AS events
FROM event_log FINAL
WHERE time >= toDateTime64({from:DateTime64(3, 'UTC')}, 3, 'UTC') AND time < toDateTime64({to:DateTime64(3, 'UTC')}, 3, 'UTC') + toIntervalHour(1)
    AND toStartOfHour(time) IN {hours:Array(DateTime('UTC'))}
GROUP BY hour, source, type, mailbox_provider, refused
LIMIT {limit:UInt32}
SETTINGS do_not_merge_across_partitions_select_final = 1
