-- Counts messages anew from their events, as messages_fill does, without the versions of
-- events that are no longer true; a judgement after the fact is no part of a version, as
-- in page.sql. Reads the days of the messages.
INSERT INTO messages_state
(
    message_id, source, recipient_hash, provider, recipient, recipient_domain, mailbox_provider, campaign,
    first_event, last_event, processed, deferred, delivered, bounced, blocked, failed, first_open,
    first_open_by_person, first_click, first_click_by_person, complained, unsubscribed, received_at,
    sending_ip, subject, tags, metadata, opens, machine_opens, clicks, machine_clicks, outcome, open_acts, click_acts, weights
)
SELECT
    message_id, source, recipient_hash,
    provider, recipient, recipient_domain, mailbox_provider, campaign,
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
    toDateTime(received_at, 'UTC') AS received_at,
    sending_ip,
    subject,
    tags,
    CAST(metadata, 'Array(Tuple(String, String))') AS metadata,
    if(type = 'opened', [id], []) AS opens,
    if(type = 'opened' AND ifNull(machine, false), [id], []) AS machine_opens,
    if(type = 'clicked', [id], []) AS clicks,
    if(type = 'clicked' AND ifNull(machine, false), [id], []) AS machine_clicks,
    if(type IN ('delivered', 'bounced', 'blocked', 'failed'), (time, toString(type)), (toDateTime64(0, 3, 'UTC'), '')) AS outcome,
    if(type = 'opened', [(time, id, judged, toUInt8(ifNull(machine, false)))], []) AS open_acts,
    if(type = 'clicked', [(time, id, judged, toUInt8(ifNull(machine, false)))], []) AS click_acts,
    if(weight IN (0, 1), map(), map(toString(type), weight)) AS weights
FROM event_log FINAL
WHERE time >= fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
  AND message_id IN {messages:Array(String)}
  AND concat(toString(id), ' ', type, ' ', toString(machine_reason = '' AND ifNull(machine, false))) NOT IN {versions:Array(String)}
SETTINGS
    do_not_merge_across_partitions_select_final = 1,
    use_skip_indexes_if_final = 1,
    use_skip_indexes_if_final_exact_mode = 0,
    apply_mutations_on_fly = 1
