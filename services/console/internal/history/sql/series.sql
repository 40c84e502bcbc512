-- Deliverability: outcomes in steps of time, of a span and of the one before it, which
-- ends where the span begins. Reads the counts by hour once for both.
WITH type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused
SELECT
    toDateTime64(toStartOfInterval(hour, toIntervalSecond({step:UInt32}), 'UTC'), 3, 'UTC') AS at,
    toBool(hour < toStartOfHour(toDateTime({from:DateTime64(3, 'UTC')}, 'UTC'))) AS earlier,
    sumIf(events, type = 'delivered') AS delivered,
    sumIf(events, type = 'bounced' AND NOT refused) AS bounced,
    sumIf(events, refused) AS blocked,
    sumIf(events, type = 'deferred') AS deferred,
    sumIf(events, type = 'complained') AS complained
FROM rates_1h
WHERE hour >= toStartOfHour(toDateTime({before:DateTime64(3, 'UTC')}, 'UTC')) AND hour < toDateTime({to:DateTime64(3, 'UTC')}, 'UTC')
    AND type IN ('delivered', 'bounced', 'blocked', 'deferred', 'complained')
    AND ({source:String} = '' OR source = {source:String})
    AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
    AND ({domain:String} = '' OR recipient_domain = {domain:String})
GROUP BY at, earlier
ORDER BY at, earlier
