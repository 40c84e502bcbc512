-- Events by the cell in which they were received first, by key, and how many of them had
-- happened more than {late} milliseconds before.
SELECT
    tuple.1 AS split,
    tuple.2 AS source_label,
    tuple.3 AS key,
    toUInt32(intDiv(arrival - {origin:Int64} - 1, {cell:Int64}) + 1) AS cell,
    count() AS events,
    countIf(arrival - happened > {late:Int64}) AS unknown
FROM
(
    SELECT id, any(source) AS source_of, toUnixTimestamp64Milli(min(received_at)) AS arrival, toUnixTimestamp64Milli(any(time)) AS happened
    FROM event_log
    WHERE time > fromUnixTimestamp64Milli({after:Int64}) - toIntervalDay(14)
        AND received_at > fromUnixTimestamp64Milli({from:Int64}) AND received_at <= fromUnixTimestamp64Milli({to:Int64})
        {{match}}
    GROUP BY id
    HAVING arrival > {after:Int64}
)
ARRAY JOIN {{keys}} AS tuple
WHERE key != ''
GROUP BY tuple, cell
