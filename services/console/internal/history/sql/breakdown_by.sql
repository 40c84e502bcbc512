-- Deliverability: outcomes by campaign or sending IP. Reads their counts by hour, which do
-- not know the recipient's domain.
WITH type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused
SELECT
    value,
    sumIf(events, type = 'delivered') AS delivered,
    sumIf(events, type = 'bounced' AND NOT refused) AS bounced,
    sumIf(events, refused) AS blocked,
    sumIf(events, type = 'deferred') AS deferred,
    sumIf(events, type = 'complained') AS complained
FROM rates_1h_by(dimension = {by:String})
WHERE hour >= toStartOfHour(toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')) AND hour < toDateTime({to:DateTime64(3, 'UTC')}, 'UTC')
    AND type IN ('delivered', 'bounced', 'blocked', 'deferred', 'complained')
    AND ({source:String} = '' OR source = {source:String})
    AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
GROUP BY value
ORDER BY delivered + bounced + blocked DESC, value
LIMIT {limit:UInt32}
