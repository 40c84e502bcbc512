-- Incident: the most frequent refusals. Reads the refused events of the days asked for.
SELECT any(smtp_reply) AS reply, toString(reason) AS reason, toString(cause) AS cause, count() AS events, min(time) AS first_time
FROM events
WHERE time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
    AND type IN ('bounced', 'blocked')
    AND ({source:String} = '' OR source = {source:String})
    AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
    AND ({domain:String} = '' OR recipient_domain = {domain:String})
GROUP BY reason, cause, enhanced_code, smtp_code
ORDER BY events DESC, reason
LIMIT 10
