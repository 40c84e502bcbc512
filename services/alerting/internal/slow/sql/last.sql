-- When each source was last heard, by the clock of the ingress, and how many events
-- it sent since the moment {since}. An event of long ago that comes now is a
-- sign of life too; it is looked for in two weeks of event time.
SELECT
    source,
    max(toUnixTimestamp64Milli(received_at)) AS last,
    countIf(toUnixTimestamp64Milli(received_at) > {since:Int64}) AS fresh
FROM event_log
WHERE time > fromUnixTimestamp64Milli({to:Int64}) - toIntervalDay(14)
    AND received_at > fromUnixTimestamp64Milli({from:Int64}) AND received_at <= fromUnixTimestamp64Milli({to:Int64})
    {{match}}
GROUP BY source
ORDER BY source
LIMIT {limit:UInt32}
