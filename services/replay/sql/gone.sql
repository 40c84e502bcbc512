-- The latest time of an event whose record its topic no longer has, or never had: of
-- another topic of that name, or one that is not read. Reads where each row came from.
SELECT toUnixTimestamp64Milli(max(time)) AS latest, count() AS events
FROM event_log
WHERE time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
  AND (empty({source:String}) OR source = {source:String})
  AND (empty({types:Array(String)}) OR type IN {types:Array(String)})
  AND (kafka_offset < transform(concat(kafka_topic, '/', toString(kafka_partition)), {partitions:Array(String)}, {starts:Array(UInt64)}, toUInt64(18446744073709551615))
    OR kafka_offset >= transform(concat(kafka_topic, '/', toString(kafka_partition)), {partitions:Array(String)}, {ends:Array(UInt64)}, toUInt64(0)))
