-- One row a key of each split: the events received between {from} and {to}, and those
-- of them that had happened more than {late} milliseconds before. A repeat has another
-- time of receipt; the first counts, as far as it lies in the window.
WITH arrayMap(name -> unhex(name), {names:Array(String)}) AS watched
SELECT
    tuple.1 AS split,
    tuple.2 AS source_label,
    tuple.3 AS key,
    concat(toString(split), '\0', source_label, '\0', key) AS name,
    count() AS events,
    countIf(arrival - happened > {late:Int64}) AS unknown,
    countIf(arrival > {{since}}) AS fresh,
    count() OVER (PARTITION BY split) AS found
FROM
(
    SELECT id, any(source) AS source_of, toUnixTimestamp64Milli(min(received_at)) AS arrival, toUnixTimestamp64Milli(any(time)) AS happened
    FROM event_log
    WHERE time > fromUnixTimestamp64Milli({to:Int64}) - toIntervalDay(14)
        AND received_at > fromUnixTimestamp64Milli({from:Int64}) AND received_at <= fromUnixTimestamp64Milli({to:Int64})
        {{match}}
    GROUP BY id
)
ARRAY JOIN {{keys}} AS tuple
GROUP BY tuple
HAVING key != '' AND (events >= {volumes:Array(Int64)}[split + 1] OR has(watched, name))
ORDER BY split, has(watched, name) DESC, unknown DESC, source_label, key
LIMIT {limit:UInt32} BY split
