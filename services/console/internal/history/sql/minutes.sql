-- Incident: the mail to what it is about, by minute. Reads the minutes asked for.
SELECT
    toDateTime64(minute, 3, 'UTC') AS at,
    sumIf(events, type = 'delivered') AS delivered,
    sumIf(events, type = 'bounced') AS bounced,
    sumIf(events, type = 'blocked') AS blocked
FROM rates_1m
WHERE minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC') AND minute < toDateTime({to:DateTime64(3, 'UTC')}, 'UTC')
    AND type IN ('delivered', 'bounced', 'blocked')
    AND ({source:String} = '' OR source = {source:String})
    AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
    AND ({domain:String} = '' OR recipient_domain = {domain:String})
GROUP BY at
ORDER BY at
LIMIT 3000
