-- Incident: the latest refusals, without a person. Reads the refused events of the days
-- asked for.
WITH type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused
SELECT time AS at, type AS event_type, toBool(refused AND type = 'bounced') AS blocks, source, message_id, recipient_domain, campaign, toString(reason) AS reason, smtp_reply AS reply,
    recipient = '' OR positionCaseInsensitive(message_id, splitByChar('@', recipient)[1]) > 0 AS named
FROM events
WHERE time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
    AND type IN ('bounced', 'blocked')
    AND ({source:String} = '' OR source = {source:String})
    AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
    AND ({domain:String} = '' OR recipient_domain = {domain:String})
    AND ({campaign:String} = '' OR campaign = {campaign:String})
    AND ({sending_ip:String} = '' OR sending_ip = {sending_ip:String})
    AND ({sending_domain:String} = '' OR sending_domain = {sending_domain:String})
    AND ({ip_pool:String} = '' OR ip_pool = {ip_pool:String})
    AND ({tag:String} = '' OR has(tags, {tag:String}))
ORDER BY at DESC, message_id
LIMIT {limit:UInt32}
