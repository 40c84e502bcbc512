-- Which hours have events to replay, and how many: reads the key columns.
SELECT toStartOfHour(toDateTime(time, 'UTC')) AS hour, count() AS events
FROM events
WHERE time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
  AND (empty({source:String}) OR source = {source:String})
  AND (empty({types:Array(String)}) OR type IN {types:Array(String)})
GROUP BY hour
ORDER BY hour
