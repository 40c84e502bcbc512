-- Who carries the spikes at some keys, {names}: for each of them and each campaign, IP
-- and source what became of its messages, the most bad first; the row without a
-- dimension is the key itself. With {before} those that had nothing bad, too.
WITH arrayMap(name -> unhex(name), {names:Array(String)}) AS watched
SELECT
    concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3) AS name,
    carrier.1 AS dimension,
    carrier.2 AS value,
    {{counts}}
FROM
(
    {{messages}}
)
ARRAY JOIN arrayFilter(tuple -> has(watched, concat(toString(tuple.1), '\0', tuple.2, '\0', tuple.3)), {{keys}}) AS tuple
ARRAY JOIN arrayFilter(carrier -> {{picked}}, [('source', toString(source_of)), ('campaign', toString(campaign_of)), ('sending_ip', toString(ip_of)),
    ('sending_domain', toString(sender_of)), ('ip_pool', toString(pool_of)), ('', '')]) AS carrier
GROUP BY name, carrier
HAVING bounced + blocked + complaints + unsubscriptions + deferrals > 0 OR dimension = '' OR {before:UInt8}
ORDER BY name, dimension = '' DESC, bounced + blocked + complaints + unsubscriptions + deferrals DESC, dimension, value
LIMIT {limit:UInt32} BY name
