-- The ledger of hours: the counts of some that were counted for good, by seal. Reads the
-- counts of these hours.
WITH toBool(type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}) AS refused
SELECT hour, source, type, mailbox_provider, refused, sum(events) AS events
FROM rates_1h_sealed FINAL
WHERE hour >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC') AND hour <= toDateTime({to:DateTime64(3, 'UTC')}, 'UTC')
    AND seal IN {seals:Array(UInt64)}
GROUP BY hour, source, type, mailbox_provider, refused
LIMIT {limit:UInt32}
