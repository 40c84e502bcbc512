-- Deliverability: outcomes by campaign or sending IP. Reads their counts by hour, which do
-- not know the recipient's domain.
SELECT
    value,
    sumIf(events, type = 'delivered') AS delivered,
    sumIf(events, type = 'bounced') AS bounced,
    sumIf(events, type = 'blocked') AS blocked,
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
