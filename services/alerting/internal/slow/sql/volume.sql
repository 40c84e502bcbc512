-- One row a key: its events between {from} and {to}, and those of the same hours of
-- the four weeks before. Keys that are quiet now are found by the weeks before.
WITH intDiv({to:Int64} - toUnixTimestamp64Milli(time), {week:Int64}) AS back
SELECT
    {{source}} AS source_label,
    {{key}} AS key,
    countIf(back = 0) AS events,
    [countIf(back = 1), countIf(back = 2), countIf(back = 3), countIf(back = 4)] AS before,
    countIf(back = 0 AND toUnixTimestamp64Milli(time) > transform(concat(hex(source_label), '-', hex(key)), {keys:Array(String)}, {sinces:Array(Int64)}, toInt64(0))) AS fresh,
    count() OVER () AS found
FROM events
WHERE ((time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64}))
    OR (time > fromUnixTimestamp64Milli({from:Int64} - {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - {week:Int64}))
    OR (time > fromUnixTimestamp64Milli({from:Int64} - 2 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 2 * {week:Int64}))
    OR (time > fromUnixTimestamp64Milli({from:Int64} - 3 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 3 * {week:Int64}))
    OR (time > fromUnixTimestamp64Milli({from:Int64} - 4 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 4 * {week:Int64})))
    {{match}}
GROUP BY source_label, key
HAVING key != '' AND (arraySort(before)[2] >= {volume:Int64} OR has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))))
ORDER BY has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))) DESC, arraySort(before)[2] - toInt64(events) DESC, source_label, key
LIMIT {limit:UInt32}
