-- Messages to people of which anything happened until a moment.
SELECT count() AS rows
FROM messages_state
WHERE recipient_hash IN {hashes:Array(String)}
  AND least(first_event, toDateTime64(received_at, 3, 'UTC')) <= fromUnixTimestamp64Milli({until:Int64})
  AND least(first_event, toDateTime64(received_at, 3, 'UTC')) > fromUnixTimestamp64Milli({since:Int64})
