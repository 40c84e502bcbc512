-- One row a key of each split: its events in the same hours of the four weeks before,
-- the largest keys first.
WITH
    arrayMap(name -> unhex(name), {names:Array(String)}) AS watched,
    intDiv({to:Int64} - toUnixTimestamp64Milli(time), {week:Int64}) AS week
SELECT
    tuple.1 AS split,
    tuple.2 AS source_label,
    tuple.3 AS key,
    concat(toString(split), '\0', source_label, '\0', key) AS name,
    [sumIf(n, back = 1), sumIf(n, back = 2), sumIf(n, back = 3), sumIf(n, back = 4)] AS before,
    count() OVER (PARTITION BY split) AS found
FROM
(
    SELECT {{columns}}, week AS back, count() AS n
    FROM events
    WHERE ((time > fromUnixTimestamp64Milli({from:Int64} - {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - {week:Int64}))
        OR (time > fromUnixTimestamp64Milli({from:Int64} - 2 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 2 * {week:Int64}))
        OR (time > fromUnixTimestamp64Milli({from:Int64} - 3 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 3 * {week:Int64}))
        OR (time > fromUnixTimestamp64Milli({from:Int64} - 4 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 4 * {week:Int64})))
        {{match}}
    GROUP BY ALL
)
ARRAY JOIN {{keys}} AS tuple
GROUP BY tuple
HAVING key != '' AND (arraySort(before)[2] >= {volumes:Array(Int64)}[split + 1] OR has(watched, name))
ORDER BY split, has(watched, name) DESC, arraySort(before)[2] DESC, source_label, key
LIMIT {limit:UInt32} BY split
