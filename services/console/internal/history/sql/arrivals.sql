-- Source: how the events of one source came in, by type. Reads the rows of the source
-- on the days asked for.
WITH type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused
SELECT
    type, uniqExact(id) AS events, uniqExactIf(id, refused AND type = 'bounced') AS blocks, count() AS rows, min(time) AS first_time, max(time) AS last_time,
    toFloat64(quantileTDigest(0.5)(toFloat64(received_at) - toFloat64(time))) AS p50, toFloat64(quantileTDigest(0.99)(toFloat64(received_at) - toFloat64(time))) AS p99
FROM event_log
WHERE source = {source:String} AND time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
GROUP BY type
ORDER BY events DESC, type
