-- Deliverability: outcomes by mailbox provider, domain or source. Reads the counts by
-- hour.
SELECT
    multiIf({by:String} = 'source', toString(source), {by:String} = 'domain', toString(recipient_domain), toString(mailbox_provider)) AS value,
    sumIf(events, type = 'delivered') AS delivered,
    sumIf(events, type = 'bounced') AS bounced,
    sumIf(events, type = 'blocked') AS blocked,
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
