-- How many events still have raw past its time.
SELECT count() AS rows
FROM event_log
WHERE received_at < fromUnixTimestamp64Milli({before:Int64}) AND raw != ''
