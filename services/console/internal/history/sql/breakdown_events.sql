-- Deliverability: outcomes by campaign or sending IP to one domain, which no counts by hour
-- have. Reads these columns of the events.
WITH type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused
SELECT
    if({by:String} = 'campaign', toString(campaign), toString(sending_ip)) AS value,
    countIf(type = 'delivered') AS delivered,
    countIf(type = 'bounced' AND NOT refused) AS bounced,
    countIf(refused) AS blocked,
    countIf(type = 'deferred') AS deferred,
    countIf(type = 'complained') AS complained
FROM events
WHERE time >= toStartOfHour({from:DateTime64(3, 'UTC')}) AND time < {to:DateTime64(3, 'UTC')}
    AND type IN ('delivered', 'bounced', 'blocked', 'deferred', 'complained')
    AND ({source:String} = '' OR source = {source:String})
    AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
    AND ({domain:String} = '' OR recipient_domain = {domain:String})
GROUP BY value
ORDER BY delivered + bounced + blocked DESC, value
LIMIT {limit:UInt32}
