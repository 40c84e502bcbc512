-- One row a key: all events between {from} and {to}, and how many of them nobody
-- could read: of type other, or refused for a reason that is other.
SELECT
    {{source}} AS source_label,
    {{key}} AS key,
    count() AS events,
    countIf(type = 'other' OR reason = 'other') AS unknown,
    countIf(toUnixTimestamp64Milli(time) > transform(concat(hex(source_label), '-', hex(key)), {keys:Array(String)}, {sinces:Array(Int64)}, toInt64(0))) AS fresh,
    count() OVER () AS found
FROM events
WHERE time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
    {{match}}
GROUP BY source_label, key
HAVING key != '' AND (events >= {volume:Int64} OR has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))))
ORDER BY has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))) DESC, unknown DESC, source_label, key
LIMIT {limit:UInt32}
