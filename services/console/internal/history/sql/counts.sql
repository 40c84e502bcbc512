-- Overview and source: events by hour, source and type. Reads the counts by hour.
SELECT hour, source, type, sum(events) AS events
FROM rates_1h
WHERE hour >= toStartOfHour(toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')) AND hour < toDateTime({to:DateTime64(3, 'UTC')}, 'UTC')
    AND ({source:String} = '' OR source = {source:String})
GROUP BY hour, source, type
ORDER BY hour, source, type
