-- Incident: outcomes of the mail that it is about which another one of the same message
-- replaced within {window} minutes: alerting counts a message once, by its latest outcome,
-- of one moment by the worse one. Reads the events of the days asked for twice, and keeps
-- those of messages with several outcomes.
WITH
    type = 'blocked' OR type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)} AS refused,
    multiIf(refused, 3, type = 'bounced', 2, 1) AS rank,
    toUInt64(toUnixTimestamp64Milli(time)) * 4 + rank AS mark,
    if(message_key != 0, message_key, sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash))) AS message,
    time >= toStartOfMinute({from:DateTime64(3, 'UTC')}) AND time < {to:DateTime64(3, 'UTC')}
        AND type IN ('delivered', 'bounced', 'blocked')
        AND ({source:String} = '' OR source = {source:String})
        AND ({mailbox_provider:String} = '' OR mailbox_provider = {mailbox_provider:String})
        AND ({domain:String} = '' OR recipient_domain = {domain:String})
        AND ({campaign:String} = '' OR campaign = {campaign:String})
        AND ({sending_ip:String} = '' OR sending_ip = {sending_ip:String})
        AND ({sending_domain:String} = '' OR sending_domain = {sending_domain:String})
        AND ({ip_pool:String} = '' OR ip_pool = {ip_pool:String})
        AND ({tag:String} = '' OR has(tags, {tag:String})) AS wanted
SELECT
    toDateTime64(toDateTime(intDiv(pair.1, 240000) * 60, 'UTC'), 3, 'UTC') AS at,
    toDateTime64(toDateTime(intDiv(pair.2, 240000) * 60, 'UTC'), 3, 'UTC') AS next,
    countIf(pair.1 % 4 = 1) AS delivered,
    countIf(pair.1 % 4 = 2) AS bounced,
    countIf(pair.1 % 4 = 3) AS blocked
FROM
(
    SELECT arraySort(groupArray(mark)) AS marks, arrayJoin(arrayZip(arrayPopBack(marks), arrayPopFront(marks))) AS pair
    FROM event_log FINAL
    WHERE wanted AND message IN (SELECT message FROM event_log FINAL WHERE wanted GROUP BY message HAVING count() > 1)
    GROUP BY message
)
WHERE next < at + toIntervalMinute({window:UInt32})
GROUP BY at, next
ORDER BY at, next
LIMIT {limit:UInt32}
SETTINGS do_not_merge_across_partitions_select_final = 1, max_bytes_before_external_group_by = 536870912
