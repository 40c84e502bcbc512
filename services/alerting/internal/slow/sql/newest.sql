-- When the latest event of event time after {since} was received, by the clock of the
-- ingress; 0 for none.
SELECT toUnixTimestamp64Milli(max(received_at)) AS last
FROM event_log
WHERE time > fromUnixTimestamp64Milli({since:Int64})
