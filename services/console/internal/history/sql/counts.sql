-- Overview and source: events by hour, source and type, and whether alerting counts
-- them as blocks. Reads the counts by hour.
WITH toBool(type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}) AS refused
SELECT hour, source, type, refused, sum(events) AS events
FROM rates_1h
WHERE hour >= toStartOfHour(toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')) AND hour < toDateTime({to:DateTime64(3, 'UTC')}, 'UTC')
    AND ({source:String} = '' OR source = {source:String})
GROUP BY hour, source, type, refused
ORDER BY hour, source, type, refused
