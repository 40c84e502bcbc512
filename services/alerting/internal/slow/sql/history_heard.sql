-- When each source was last heard in each cell, by the clock of the ingress, and how
-- many events it sent.
SELECT
    source,
    toUInt32(intDiv(toUnixTimestamp64Milli(received_at) - {origin:Int64} - 1, {cell:Int64}) + 1) AS cell,
    max(toUnixTimestamp64Milli(received_at)) AS last,
    count() AS events
FROM event_log
WHERE time > fromUnixTimestamp64Milli({after:Int64}) - toIntervalDay(14)
    AND received_at > fromUnixTimestamp64Milli({after:Int64}) AND received_at <= fromUnixTimestamp64Milli({to:Int64})
    {{match}}
GROUP BY source, cell
