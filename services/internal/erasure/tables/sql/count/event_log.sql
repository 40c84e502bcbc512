-- Rows of people, until a moment, that still lead to them.
SELECT count() AS rows
FROM event_log
WHERE recipient_hash IN {hashes:Array(String)}
  AND least(time, received_at) <= fromUnixTimestamp64Milli({until:Int64})
  AND least(time, received_at) > fromUnixTimestamp64Milli({since:Int64})
