-- Incident: the most frequent refusals. Reads the refused events of the days asked for.
SELECT any(smtp_reply) AS reply, toString(reason) AS reason, toString(cause) AS cause, count() AS events, min(time) AS first_time
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
GROUP BY reason, cause, enhanced_code, smtp_code
ORDER BY events DESC, reason
LIMIT {limit:UInt32}
