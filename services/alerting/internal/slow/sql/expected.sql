-- What each source sent in the same hours of the four weeks before: one row a source
-- and hour of now, with the four counts.
SELECT
    source,
    toInt64(toUnixTimestamp(hour)) + weeks * 604800 AS at,
    [sumIf(events, weeks = 1), sumIf(events, weeks = 2), sumIf(events, weeks = 3), sumIf(events, weeks = 4)] AS before
FROM rates_1h
ARRAY JOIN [1, 2, 3, 4] AS weeks
WHERE (hour BETWEEN toDateTime({from:Int64} - 604800, 'UTC') AND toDateTime({to:Int64} - 604800, 'UTC')
    OR hour BETWEEN toDateTime({from:Int64} - 2 * 604800, 'UTC') AND toDateTime({to:Int64} - 2 * 604800, 'UTC')
    OR hour BETWEEN toDateTime({from:Int64} - 3 * 604800, 'UTC') AND toDateTime({to:Int64} - 3 * 604800, 'UTC')
    OR hour BETWEEN toDateTime({from:Int64} - 4 * 604800, 'UTC') AND toDateTime({to:Int64} - 4 * 604800, 'UTC'))
    AND toInt64(toUnixTimestamp(hour)) + weeks * 604800 BETWEEN {from:Int64} AND {to:Int64}
    {{match}}
GROUP BY source, at
ORDER BY source, at
LIMIT {limit:UInt32}
