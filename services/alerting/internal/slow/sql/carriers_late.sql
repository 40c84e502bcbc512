-- Who carries the late events of some keys, {names}: for each of them and each campaign,
-- IP and source the events received between {from} and {to}, and those of them that had
-- happened more than {late} milliseconds before. The row without a dimension is the key
-- itself.
WITH arrayMap(name -> unhex(name), {names:Array(String)}) AS watched
SELECT
    concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3) AS name,
    carrier.1 AS dimension,
    carrier.2 AS value,
    count() AS events,
    countIf(arrival - happened > {late:Int64}) AS unknown,
    emptyArrayUInt64() AS before
FROM
(
    SELECT id, any(source) AS source_of, any(campaign) AS campaign_of, any(sending_ip) AS ip_of, any(sending_domain) AS sender_of, any(ip_pool) AS pool_of,
        toUnixTimestamp64Milli(min(received_at)) AS arrival, toUnixTimestamp64Milli(any(time)) AS happened
    FROM event_log
    WHERE time > fromUnixTimestamp64Milli({to:Int64}) - toIntervalDay(14)
        AND received_at > fromUnixTimestamp64Milli({from:Int64}) AND received_at <= fromUnixTimestamp64Milli({to:Int64})
        {{match}}
    GROUP BY id
)
ARRAY JOIN arrayFilter(tuple -> has(watched, concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3)), {{keys}}) AS tuple
ARRAY JOIN arrayFilter(carrier -> {{picked}}, [('source', toString(source_of)), ('campaign', toString(campaign_of)), ('sending_ip', toString(ip_of)),
    ('sending_domain', toString(sender_of)), ('ip_pool', toString(pool_of)), ('', '')]) AS carrier
GROUP BY name, carrier
ORDER BY name, dimension = '' DESC, unknown DESC, dimension, value
LIMIT {limit:UInt32} BY name
