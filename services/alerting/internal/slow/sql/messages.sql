-- One row a message that has an event between {from} and {to}: what became of it. A
-- message counts once, by its latest outcome; repeats of an event change nothing, so
-- that FINAL is not needed. Columns that the statement around it does not use are not
-- read.
-- An outcome is a number: milliseconds, then blocked 3, bounced 2 or delivered 1 (of
-- one moment the worse counts), then hard, then the place of its cause.
WITH
    type = 'blocked' OR (type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}) AS refused,
    multiIf(refused, 3, type = 'bounced', 2, type = 'delivered', 1, 0) AS rank,
    toUInt64(toUnixTimestamp64Milli(time)) * 64 + rank * 16 + (bounce_type = 'hard') * 8
        + multiIf(cause = 'recipient', 1, cause = 'sender', 2, cause = 'content', 3, cause = 'provider', 4, cause = 'network', 5, cause = '', 0, 6) AS mark,
    if(message_key != 0, message_key, sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash))) AS message
SELECT
    message,
    any(source) AS source_of,
    max(recipient_domain) AS domain_of,
    max(mailbox_provider) AS provider_of,
    max(campaign) AS campaign_of,
    max(sending_ip) AS ip_of,
    max(sending_domain) AS sender_of,
    max(ip_pool) AS pool_of,
    max(tags) AS tags_of,
    maxIf(mark, rank > 0) AS best,
    intDiv(bitAnd(best, 63), 16) AS outcome,
    bitAnd(best, 8) > 0 AS hard,
    bitAnd(best, 7) AS why,
    toInt64(intDiv(best, 64)) AS last,
    groupBitOr(multiIf(type = 'deferred', 1, type = 'complained', 2, type = 'unsubscribed', 4, type = 'delivered', 8, 0)) AS types,
    bitAnd(types, 1) > 0 AS deferred,
    bitAnd(types, 2) > 0 AS complained,
    bitAnd(types, 4) > 0 AS unsubscribed,
    bitAnd(types, 8) > 0 AS was_delivered
FROM event_log
WHERE time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
    AND type IN ('delivered', 'bounced', 'blocked', 'deferred', 'complained', 'unsubscribed')
    {{match}}
GROUP BY message
