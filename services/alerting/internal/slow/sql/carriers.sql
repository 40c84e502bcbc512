-- Who carries a spike at one key: for each campaign, IP and source its bad messages
-- and all its messages, the most bad first.
SELECT carrier.1 AS dimension, carrier.2 AS value, countIf({{bad}}) AS bad, countIf({{counted}}) AS volume
FROM
(
    {{messages}}
)
ARRAY JOIN [('source', toString(source_of)), ('campaign', toString(campaign_of)), ('sending_ip', toString(ip_of)), ('', '')] AS carrier
WHERE ({source:String} = '' OR hex(source_of) = {source:String}) AND {{holds}}
GROUP BY carrier
HAVING bad > 0 OR carrier.1 = ''
ORDER BY carrier.1 = '' DESC, bad DESC, dimension, value
LIMIT {limit:UInt32}
