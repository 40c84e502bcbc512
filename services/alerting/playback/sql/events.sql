-- Events of one step of the history in the order they were received. The filter on
-- time names the days to read; an event older than every window counts nowhere.
SELECT
    toString(id) AS id, type = 'delivered' AS delivered,
    type = 'blocked' OR (type = 'bounced' AND cause IN ('sender', 'content') AND NOT has({literal:Array(String)}, provider)) AS blocked,
    least(time, received_at) AS at, received_at, source,
    toString(if(message_key != 0, message_key, sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash)))) AS message_id,
    recipient_domain, mailbox_provider
FROM event_log
WHERE received_at >= {from:DateTime64(3, 'UTC')} AND received_at < {to:DateTime64(3, 'UTC')}
    AND time >= {oldest:DateTime64(3, 'UTC')} AND time < {newest:DateTime64(3, 'UTC')}
    AND type IN ('delivered', 'bounced', 'blocked')
ORDER BY received_at, id
