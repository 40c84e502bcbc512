-- Overview and source: what was last received of each source. A maximum needs no merge;
-- reads the hours that are named, the latest of each source, or all since {since}. The
-- events of the last hour, and none of the future, are counted without holding the id of
-- each: some millions at a high rate.
SELECT
    source, any(provider) AS provider, max(time) AS last_time, max(received_at) AS last_received,
    uniqCombined64If(id, time >= now64(3, 'UTC') - INTERVAL 1 HOUR AND time <= now64(3, 'UTC')) AS recent
FROM event_log
WHERE time >= {since:DateTime64(3, 'UTC')} AND ({source:String} = '' OR source = {source:String})
    AND (empty({hours:Array(DateTime('UTC'))}) OR toStartOfHour(time) IN {hours:Array(DateTime('UTC'))})
GROUP BY source
ORDER BY source
