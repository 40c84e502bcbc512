-- Who carries what is wrong with the events of some keys, {names}: for each of them and
-- each campaign, IP and source its events between {from} and {to}, how many of them have no
-- type or reason that is known, and its events in the same hours of the four weeks before,
-- which are read where {weeks} is 4. The row without a dimension is the key itself.
WITH
    arrayMap(name -> unhex(name), {names:Array(String)}) AS watched,
    intDiv({to:Int64} - toUnixTimestamp64Milli(time), {week:Int64}) AS age
SELECT
    concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3) AS name,
    carrier.1 AS dimension,
    carrier.2 AS value,
    countIf(back = 0) AS events,
    countIf(back = 0 AND bad) AS unknown,
    [countIf(back = 1), countIf(back = 2), countIf(back = 3), countIf(back = 4)] AS before
FROM
(
    SELECT age AS back, type = 'other' OR reason = 'other' AS bad, source AS source_of, recipient_domain AS domain_of, mailbox_provider AS provider_of,
        campaign AS campaign_of, sending_ip AS ip_of, sending_domain AS sender_of, ip_pool AS pool_of, tags AS tags_of
    FROM events
    WHERE ((time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64}))
        OR ({weeks:Int64} = 4
            AND ((time > fromUnixTimestamp64Milli({from:Int64} - {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - {week:Int64}))
            OR (time > fromUnixTimestamp64Milli({from:Int64} - 2 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 2 * {week:Int64}))
            OR (time > fromUnixTimestamp64Milli({from:Int64} - 3 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 3 * {week:Int64}))
            OR (time > fromUnixTimestamp64Milli({from:Int64} - 4 * {week:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64} - 4 * {week:Int64})))))
        {{match}}
)
ARRAY JOIN arrayFilter(tuple -> has(watched, concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3)), {{keys}}) AS tuple
ARRAY JOIN arrayFilter(carrier -> {{picked}}, [('source', toString(source_of)), ('campaign', toString(campaign_of)), ('sending_ip', toString(ip_of)),
    ('sending_domain', toString(sender_of)), ('ip_pool', toString(pool_of)), ('', '')]) AS carrier
GROUP BY name, carrier
ORDER BY name, dimension = '' DESC, unknown DESC, events + arraySum(before) DESC, dimension, value
LIMIT {limit:UInt32} BY name
