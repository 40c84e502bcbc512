-- Receipts, until a moment, of events of people.
SELECT count() AS rows
FROM receipt_log
WHERE recipient_hash IN {hashes:Array(String)}
  AND least(time, received_at) <= fromUnixTimestamp64Milli({until:Int64})
  AND least(time, received_at) > fromUnixTimestamp64Milli({since:Int64})
