-- What the replies say at some keys, {names}: for each the reasons by type, with the
-- number of messages and the latest reply. An event counts by itself: a message that
-- was refused and delivered later is among them.
WITH
    arrayMap(name -> unhex(name), {names:Array(String)}) AS watched,
    if(message_key != 0, message_key, sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash))) AS message
SELECT
    concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3) AS name,
    type,
    bounce_type = 'hard' AS hard,
    type = 'blocked' OR (type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}) AS refused,
    reason,
    cause,
    uniqExact(message) AS messages,
    argMax(smtp_reply, (smtp_reply != '', time)) AS answer,
    argMax(recipient, (smtp_reply != '', time)) AS addressee
FROM
(
    SELECT {{columns}}, id, type, time, source, message_id, message_key, recipient, recipient_hash, bounce_type, cause, reason, provider, smtp_reply
    FROM event_log
    WHERE time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
        AND type IN ('bounced', 'blocked', 'deferred')
        {{match}}
)
ARRAY JOIN arrayFilter(tuple -> has(watched, concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3)), {{keys}}) AS tuple
GROUP BY name, type, hard, refused, reason, cause
ORDER BY name, messages DESC, type, reason, cause
LIMIT {limit:UInt32} BY name
