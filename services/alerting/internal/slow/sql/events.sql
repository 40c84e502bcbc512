-- One row a key of each split: all events between {from} and {to}, and how many of them
-- have no type or reason that is known: type other, or refused for a reason that is
-- other. Counted first by all columns in use, which is far fewer rows than events; mark
-- keeps apart what came after the incidents began.
WITH arrayMap(name -> unhex(name), {names:Array(String)}) AS watched
SELECT
    tuple.1 AS split,
    tuple.2 AS source_label,
    tuple.3 AS key,
    concat(toString(split), '\0', source_label, '\0', key) AS name,
    sum(n) AS events,
    sum(bad) AS unknown,
    sumIf(n, mark >= {{since}}) AS fresh,
    count() OVER (PARTITION BY split) AS found
FROM
(
    SELECT {{columns}}, {{mark}} AS mark, count() AS n, countIf(type = 'other' OR reason = 'other') AS bad
    FROM events
    WHERE time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
        {{match}}
    GROUP BY ALL
)
ARRAY JOIN {{keys}} AS tuple
GROUP BY tuple
HAVING key != '' AND (events >= {volumes:Array(Int64)}[split + 1] OR has(watched, name))
ORDER BY split, has(watched, name) DESC, unknown DESC, events DESC, source_label, key
LIMIT {limit:UInt32} BY split
