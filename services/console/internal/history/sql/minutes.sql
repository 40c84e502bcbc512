-- Incident: the mail that it is about, by minute, as alerting counts it: a message once, by
-- the latest outcome that it has by then, of one moment the worse one. Each outcome comes
-- in its minute, and goes when another one comes or it leaves the window. A bounce with
-- cause sender or content is a block, but for the providers of {literal}, which have a word
-- of their own for it. Reads the events of the days asked for.
WITH
    type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused,
    multiIf(refused, 3, type = 'bounced', 2, 1) AS rank,
    toUInt64(toUnixTimestamp64Milli(time)) * 4 + rank AS mark,
    if(message_key != 0, message_key, sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash))) AS message
SELECT
    toDateTime64(toDateTime(minute * 60, 'UTC'), 3, 'UTC') AS at,
    countIf(comes) AS came,
    sumIf(if(comes, 1, -1), outcome = 1) AS delivered,
    sumIf(if(comes, 1, -1), outcome = 2) AS bounced,
    sumIf(if(comes, 1, -1), outcome = 3) AS blocked
FROM
(
    SELECT
        pair.1 % 4 AS outcome,
        intDiv(pair.1, 240000) AS first,
        if(pair.2 = 0, 0xFFFFFFFF, intDiv(pair.2, 240000)) AS next,
        arrayJoin([(first, true), (least(next, first + {window:UInt32}), false)]) AS step,
        step.1 AS minute,
        step.2 AS comes
    FROM
    (
        SELECT arraySort(groupArray(mark)) AS marks, arrayJoin(arrayZip(marks, arrayPushBack(arrayPopFront(marks), 0))) AS pair
        FROM event_log FINAL
        WHERE time >= toStartOfMinute({from:DateTime64(3, 'UTC')}) AND time < {to:DateTime64(3, 'UTC')}
            AND type IN ('delivered', 'bounced', 'blocked')
            AND ({source:String} = '' OR source = {source:String})
            AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
            AND ({domain:String} = '' OR recipient_domain = {domain:String})
            AND ({campaign:String} = '' OR campaign = {campaign:String})
            AND ({sending_ip:String} = '' OR sending_ip = {sending_ip:String})
            AND ({sending_domain:String} = '' OR sending_domain = {sending_domain:String})
            AND ({ip_pool:String} = '' OR ip_pool = {ip_pool:String})
            AND ({tag:String} = '' OR has(tags, {tag:String}))
        GROUP BY message
    )
)
WHERE minute * 60 < toUnixTimestamp({to:DateTime64(3, 'UTC')})
GROUP BY minute
ORDER BY minute
LIMIT {limit:UInt32}
SETTINGS do_not_merge_across_partitions_select_final = 1, max_bytes_before_external_group_by = 268435456
