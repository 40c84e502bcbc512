-- One row a source: the events received between {from} and {to}, and those of them
-- that had happened more than {late} milliseconds before. A repeat has another time
-- of receipt; the first counts, as far as it lies in the window.
SELECT
    {{source}} AS source_label,
    {{key}} AS key,
    count() AS events,
    countIf(arrival - happened > {late:Int64}) AS late,
    countIf(arrival > transform(concat(hex(source_label), '-', hex(key)), {keys:Array(String)}, {sinces:Array(Int64)}, toInt64(0))) AS fresh,
    count() OVER () AS found
FROM
(
    SELECT id, any(source) AS source, toUnixTimestamp64Milli(min(received_at)) AS arrival, toUnixTimestamp64Milli(any(time)) AS happened
    FROM event_log
    WHERE time > fromUnixTimestamp64Milli({to:Int64}) - toIntervalDay(14)
        AND received_at > fromUnixTimestamp64Milli({from:Int64}) AND received_at <= fromUnixTimestamp64Milli({to:Int64})
        {{match}}
    GROUP BY id
)
GROUP BY source_label, key
HAVING key != '' AND (events >= {volume:Int64} OR has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))))
ORDER BY late DESC, source_label, key
LIMIT {limit:UInt32}
