-- Events by person of people to whom anything happened until a moment.
SELECT count() AS rows
FROM person_log
WHERE recipient_hash IN {hashes:Array(String)}
  AND least(time, received_at) <= fromUnixTimestamp64Milli({until:Int64})
  AND least(time, received_at) > fromUnixTimestamp64Milli({since:Int64})
