-- Incident: which campaigns, templates, sending IPs, pools and sources carry the refusals,
-- beside the same hours a week before. The lift is the share of the refusals over the
-- share of the mail. Reads the outcomes of the days asked for, and of those a week before.
WITH outcomes AS (
    SELECT
        arrayJoin([
            ('campaign', toString(campaign)), ('template', toString(template)), ('sending_ip', toString(sending_ip)),
            ('ip_pool', toString(ip_pool)), ('source', toString(source))
        ]) AS pair,
        type != 'delivered' AS bad,
        time < {from:DateTime64(3, 'UTC')} AS before
    FROM events
    WHERE (time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
        OR time >= {from:DateTime64(3, 'UTC')} - INTERVAL 7 DAY AND time < {to:DateTime64(3, 'UTC')} - INTERVAL 7 DAY)
        AND type IN ('delivered', 'bounced', 'blocked')
        AND ({source:String} = '' OR source = {source:String})
        AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
        AND ({domain:String} = '' OR recipient_domain = {domain:String})
        AND ({campaign:String} = '' OR campaign = {campaign:String})
        AND ({sending_ip:String} = '' OR sending_ip = {sending_ip:String})
        AND ({sending_domain:String} = '' OR sending_domain = {sending_domain:String})
        AND ({ip_pool:String} = '' OR ip_pool = {ip_pool:String})
        AND ({tag:String} = '' OR has(tags, {tag:String}))
)
SELECT
    pair.1 AS dimension, pair.2 AS value,
    countIf(bad AND NOT before) AS refused, countIf(NOT before) AS all_messages,
    countIf(bad AND before) AS refused_before, countIf(before) AS all_before,
    (refused / greatest(1, sum(refused) OVER (PARTITION BY dimension))) / (all_messages / sum(all_messages) OVER (PARTITION BY dimension)) AS lift
FROM outcomes
WHERE pair.2 != ''
GROUP BY pair
HAVING all_messages > 0
ORDER BY lift DESC, refused DESC, dimension, value
LIMIT {limit:UInt32}
