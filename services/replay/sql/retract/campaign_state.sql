-- Counts messages by campaign anew from their events, as campaign_state_fill does, without
-- the versions of events that are no longer true; a judgement after the fact is no part of
-- a version, as in page.sql. Reads the days of the messages.
INSERT INTO campaign_state
(
    campaign, message, source, provider, mailbox_provider, sending_ip, first_event, last_event, processed,
    deferred, delivered, bounced, blocked, failed, first_open, first_open_by_person, first_click,
    first_click_by_person, complained, unsubscribed, outcome, received_at,
    open_acts, click_acts, weights
)
SELECT
    campaign, sipHash128(message_id, source, recipient_hash) AS message, source, provider, mailbox_provider, sending_ip,
    time AS first_event,
    time AS last_event,
    if(type = 'processed', time, NULL) AS processed,
    if(type = 'deferred', time, NULL) AS deferred,
    if(type = 'delivered', time, NULL) AS delivered,
    if(type = 'bounced', time, NULL) AS bounced,
    if(type = 'blocked', time, NULL) AS blocked,
    if(type = 'failed', time, NULL) AS failed,
    if(type = 'opened', time, NULL) AS first_open,
    if(type = 'opened' AND ifNull(machine, false) = false, time, NULL) AS first_open_by_person,
    if(type = 'clicked', time, NULL) AS first_click,
    if(type = 'clicked' AND ifNull(machine, false) = false, time, NULL) AS first_click_by_person,
    if(type = 'complained', time, NULL) AS complained,
    if(type = 'unsubscribed', time, NULL) AS unsubscribed,
    if(type IN ('delivered', 'bounced', 'blocked', 'failed'), (time, toString(type)), (toDateTime64(0, 3, 'UTC'), '')) AS outcome,
    toDateTime(received_at, 'UTC') AS received_at,
    if(type = 'opened', [(time, sipHash64(id), judged, toUInt8(ifNull(machine, false)))], []) AS open_acts,
    if(type = 'clicked', [(time, sipHash64(id), judged, toUInt8(ifNull(machine, false)))], []) AS click_acts,
    if(weight IN (0, 1), map(), map(toString(type), weight)) AS weights
FROM event_log FINAL
WHERE time >= fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
  AND message_id IN {messages:Array(String)}
  AND campaign != ''
  AND concat(toString(id), ' ', type, ' ', toString(machine_reason = '' AND ifNull(machine, false))) NOT IN {versions:Array(String)}
SETTINGS
    do_not_merge_across_partitions_select_final = 1,
    use_skip_indexes_if_final = 1,
    use_skip_indexes_if_final_exact_mode = 0,
    apply_mutations_on_fly = 1
