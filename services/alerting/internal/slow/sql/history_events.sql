-- All events of some cells, by key and cell, and how many of them have no type or reason
-- that is known.
SELECT
    tuple.1 AS split,
    tuple.2 AS source_label,
    tuple.3 AS key,
    cell,
    sum(n) AS events,
    sum(bad) AS unknown
FROM
(
    SELECT {{columns}}, toUInt32(intDiv(toUnixTimestamp64Milli(time) - {origin:Int64} - 1, {cell:Int64}) + 1) AS cell,
        count() AS n, countIf(type = 'other' OR reason = 'other') AS bad
    FROM events
    WHERE time > fromUnixTimestamp64Milli({after:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
        {{match}}
    GROUP BY ALL
)
ARRAY JOIN {{keys}} AS tuple
WHERE key != ''
GROUP BY tuple, cell
