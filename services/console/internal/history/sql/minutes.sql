-- Incident: the outcomes of the mail that it is about, by minute; replaced.sql says which of
-- them others of the same message replaced. A bounce with cause sender or content is
-- a block, but for the providers of {literal}, which have a word of their own for it; as
-- alerting counts. Reads the events of the days asked for.
WITH type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused
SELECT
    toDateTime64(toStartOfMinute(time), 3, 'UTC') AS at,
    countIf(type = 'delivered') AS delivered,
    countIf(type = 'bounced' AND NOT refused) AS bounced,
    countIf(refused) AS blocked
FROM events
WHERE time >= toStartOfMinute({from:DateTime64(3, 'UTC')}) AND time < {to:DateTime64(3, 'UTC')}
    AND type IN ('delivered', 'bounced', 'blocked')
    AND ({source:String} = '' OR source = {source:String})
    AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
    AND ({domain:String} = '' OR recipient_domain = {domain:String})
    AND ({campaign:String} = '' OR campaign = {campaign:String})
    AND ({sending_ip:String} = '' OR sending_ip = {sending_ip:String})
    AND ({sending_domain:String} = '' OR sending_domain = {sending_domain:String})
    AND ({ip_pool:String} = '' OR ip_pool = {ip_pool:String})
    AND ({tag:String} = '' OR has(tags, {tag:String}))
GROUP BY at
ORDER BY at
LIMIT {limit:UInt32}
