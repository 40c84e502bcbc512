-- What is stored of these events. The key is source, type, hour and time, so that of each
-- only the rows of its hour are read.
SELECT toString(id) AS id, type, bounce_type, reason, cause, confidence, blocklist, permanent, machine
FROM events
WHERE time >= {from:DateTime64(3, 'UTC')} AND time <= {to:DateTime64(3, 'UTC')}
  AND toStartOfHour(time) IN {hours:Array(DateTime('UTC'))}
  AND source IN {sources:Array(String)}
  AND type IN {types:Array(String)}
  AND toString(id) IN {ids:Array(String)}
