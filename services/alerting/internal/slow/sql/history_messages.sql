-- Messages that have an event in the cells after {after}, counted by key and by what
-- happened to them since {from}: the pattern is a number for each event, in order,
-- of its cell and of the low bits of messages.sql with two more for the type of what has
-- no outcome. A cell ends with the moment it is named by and begins after the one before.
WITH
    type = 'blocked' OR (type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}) AS refused,
    multiIf(refused, 3, type = 'bounced', 2, type = 'delivered', 1, 0) AS rank,
    toUInt64(toUnixTimestamp64Milli(time)) * 256 + rank * 64 + (bounce_type = 'hard') * 32
        + multiIf(cause = 'recipient', 1, cause = 'sender', 2, cause = 'content', 3, cause = 'provider', 4, cause = 'network', 5, cause = '', 0, 6) * 4
        + multiIf(type = 'deferred', 1, type = 'complained', 2, type = 'unsubscribed', 3, 0) AS mark,
    if(message_key != 0, message_key, sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash))) AS message
SELECT
    tuple.1 AS split,
    tuple.2 AS source_label,
    tuple.3 AS key,
    pattern,
    silent,
    count() AS messages
FROM
(
    SELECT
        any(source) AS source_of,
        max(recipient_domain) AS domain_of,
        max(mailbox_provider) AS provider_of,
        max(campaign) AS campaign_of,
        max(sending_ip) AS ip_of,
        max(sending_domain) AS sender_of,
        max(ip_pool) AS pool_of,
        max(tags) AS tags_of,
        provider_of = 'google' AS silent,
        arrayMap(m -> toUInt32((intDiv(toInt64(intDiv(m, 256)) - {origin:Int64} - 1, {cell:Int64}) + 1) * 256 + m % 256), arraySort(groupUniqArray(mark))) AS pattern
    FROM event_log
    WHERE time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
        AND type IN ('delivered', 'bounced', 'blocked', 'deferred', 'complained', 'unsubscribed')
        {{match}}
    GROUP BY message
    HAVING max(time) > fromUnixTimestamp64Milli({after:Int64})
)
ARRAY JOIN {{keys}} AS tuple
WHERE key != ''
GROUP BY tuple, pattern, silent
