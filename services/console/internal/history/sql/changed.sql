-- Incident: which campaigns, sending IPs, sources and causes carry the refusals. The
-- lift is the share of the refusals over the share of the mail. Reads the outcomes of
-- the days asked for.
WITH outcomes AS (
    SELECT
        arrayJoin([('campaign', toString(campaign)), ('sending_ip', toString(sending_ip)), ('source', toString(source))]) AS pair,
        type != 'delivered' AS bad
    FROM events
    WHERE time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
        AND type IN ('delivered', 'bounced', 'blocked')
        AND ({source:String} = '' OR source = {source:String})
        AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
        AND ({domain:String} = '' OR recipient_domain = {domain:String})
)
SELECT
    pair.1 AS dimension, pair.2 AS value, countIf(bad) AS refused, count() AS all_messages,
    (refused / greatest(1, sum(refused) OVER (PARTITION BY dimension))) / (all_messages / sum(all_messages) OVER (PARTITION BY dimension)) AS lift
FROM outcomes
WHERE pair.2 != ''
GROUP BY pair
ORDER BY lift DESC, refused DESC
LIMIT 20
