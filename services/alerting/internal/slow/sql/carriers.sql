-- Who carries a spike at one key: for each campaign, IP and source its bad messages
-- and all its messages, the most bad first.
SELECT carrier.1 AS dimension, carrier.2 AS value, countIf({{bad}}) AS bad, countIf({{counted}}) AS volume
FROM
(
    WITH
        type = 'blocked' OR (type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}) AS refused,
        multiIf(refused, 3, type = 'bounced', 2, type = 'delivered', 1, 0) AS rank,
        toUInt64(toUnixTimestamp64Milli(time)) * 64 + rank * 16 + (bounce_type = 'hard') * 8
            + multiIf(cause = 'recipient', 1, cause = 'sender', 2, cause = 'content', 3, cause = 'provider', 4, cause = 'network', 5, cause = '', 0, 6) AS mark,
        sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash)) AS message
    SELECT
        message,
        any(source) AS source_of,
        max(recipient_domain) AS domain_of,
        max(mailbox_provider) AS provider_of,
        max(campaign) AS campaign_of,
        max(sending_ip) AS ip_of,
        max(tags) AS tags_of,
        maxIf(mark, rank > 0) AS best,
        intDiv(bitAnd(best, 63), 16) AS outcome,
        bitAnd(best, 8) > 0 AS hard,
        bitAnd(best, 7) AS why,
        max(type = 'deferred') AS deferred,
        max(type = 'complained') AS complained,
        max(type = 'unsubscribed') AS unsubscribed,
        max(type = 'delivered') AS was_delivered
    FROM event_log
    WHERE time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
        AND type IN ('delivered', 'bounced', 'blocked', 'deferred', 'complained', 'unsubscribed')
        {{match}}
    GROUP BY message
)
ARRAY JOIN [('source', toString(source_of)), ('campaign', toString(campaign_of)), ('sending_ip', toString(ip_of)), ('', '')] AS carrier
WHERE ({source:String} = '' OR hex(source_of) = {source:String}) AND {{holds}}
GROUP BY carrier
HAVING bad > 0 OR carrier.1 = ''
ORDER BY carrier.1 = '' DESC, bad DESC, dimension, value
LIMIT {limit:UInt32}
