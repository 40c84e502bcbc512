-- Deliverability: outcomes by mailbox provider, domain or source. Reads the counts by
-- hour.
WITH type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused
SELECT
    multiIf({by:String} = 'source', toString(source), {by:String} = 'domain', toString(recipient_domain), toString(mailbox_provider)) AS value,
    sumIf(events, type = 'delivered') AS delivered,
    sumIf(events, type = 'bounced' AND NOT refused) AS bounced,
    sumIf(events, refused) AS blocked,
    sumIf(events, type = 'deferred') AS deferred,
    sumIf(events, type = 'complained') AS complained
FROM rates_1h
WHERE hour >= toStartOfHour(toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')) AND hour < toDateTime({to:DateTime64(3, 'UTC')}, 'UTC')
    AND type IN ('delivered', 'bounced', 'blocked', 'deferred', 'complained')
    AND ({source:String} = '' OR source = {source:String})
    AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
    AND ({domain:String} = '' OR recipient_domain = {domain:String})
GROUP BY value
ORDER BY delivered + bounced + blocked DESC, value
LIMIT {limit:UInt32}
