-- Source: how the events of one source came in, by type: how many, how often, and how late
-- the first receipt of each was. Reads the receipts of the source on the days asked for, in
-- the order of their key, which takes no memory, and its bounces.
SELECT
    type, countIf(first) AS events, any(b.blocks) AS blocks, count() AS receipts, min(time) AS first_time, max(time) AS last_time,
    toFloat64(quantileTDigestIf(0.5)(late, first)) AS p50, toFloat64(quantileTDigestIf(0.99)(late, first)) AS p99
FROM
(
    SELECT
        type, time, toFloat64(received_at) - toFloat64(time) AS late,
        event != lagInFrame(event) OVER (ORDER BY source, type, time, event, received_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS first
    FROM receipt_log FINAL
    WHERE source = {source:String} AND time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
) AS r
LEFT JOIN
(
    SELECT type, uniqExact(id) AS blocks
    FROM event_log
    WHERE source = {source:String} AND type = 'bounced' AND time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
      AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}
    GROUP BY type
) AS b USING (type)
GROUP BY type
ORDER BY events DESC, type
