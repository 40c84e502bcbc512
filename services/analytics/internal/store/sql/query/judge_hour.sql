-- Judges the opens and clicks of an hour by what is known of their messages by now, and
-- writes again those events whose judgement is another one. A reason counts before the
-- ones below it:
--   too_soon  opened within 2 s, or clicked within 8 s, of the delivery, or up to an hour before it
--   burst     three links of a message within a second on either side
--   crowd     clicks of five recipients from one address range (/24, /48) within 10 s,
--             each within a minute of the delivery
--   agent     a user agent of a program, or none although the source tells one of others
-- An open beside a click of a machine, within 2 s from the same address, is of it, too.
-- A change here takes a new number of rules, judgeRules.
INSERT INTO event_log
(
    id, type, time, received_at, provider, source, provider_event, provider_event_id,
    message_id, recipient, recipient_domain, recipient_hash, mailbox_provider,
    campaign, tags, metadata, subject, from_domain, sending_domain, template, bounce_type, reason, cause, confidence, classifier,
    permanent, smtp_code, enhanced_code, smtp_reply, blocklist, blocklist_subject, blocklist_url,
    url, ip, user_agent, country, feedback_source, list_id, sending_ip, ip_pool, raw, origin, kafka_topic, kafka_partition, kafka_offset, weight,
    machine, machine_before, machine_reason, judged
)
WITH
    toDateTime64({hour:DateTime('UTC')}, 3, 'UTC') AS hour_start,
    hour_start + toIntervalHour(1) AS hour_end,
    if(machine_reason = '', machine, machine_before) AS said,
    acts AS
    (
        SELECT
            id, type, time, toUnixTimestamp64Milli(time) AS at, source, message_id, recipient_hash, url, ip, user_agent,
            multiIf(isIPv4String(ip), arrayStringConcat(arraySlice(splitByChar('.', ip), 1, 3), '.'),
                isIPv6String(ip), hex(substring(toString(IPv6StringToNumOrDefault(ip)), 1, 6)), '') AS address_range
        FROM event_log FINAL
        WHERE type IN ('opened', 'clicked') AND message_id != ''
          AND time >= hour_start - toIntervalMinute(1) AND time < hour_end + toIntervalMinute(1)
    ),
    deliveries AS
    (
        SELECT source, message_id, recipient_hash, toUnixTimestamp64Milli(assumeNotNull(min(delivered))) AS delivered_at
        FROM messages_state
        WHERE message_id IN (SELECT message_id FROM acts) AND delivered IS NOT NULL
        GROUP BY source, message_id, recipient_hash
    ),
    timed AS
    (
        SELECT
            acts.id AS id, acts.type AS type, acts.at AS at, acts.source AS source, acts.message_id AS message_id,
            acts.recipient_hash AS recipient_hash, acts.url AS url, acts.ip AS ip, acts.user_agent AS user_agent,
            acts.address_range AS address_range,
            if(deliveries.delivered_at = 0, NULL, acts.at - deliveries.delivered_at) AS after,
            acts.type = 'clicked' AND acts.address_range != '' AND after >= 0 AND after <= 60000 AS early
        FROM acts LEFT JOIN deliveries
            ON acts.source = deliveries.source AND acts.message_id = deliveries.message_id AND acts.recipient_hash = deliveries.recipient_hash
    ),
    counted AS
    (
        SELECT
            *,
            uniqExactIf(url, type = 'clicked') OVER (PARTITION BY source, message_id, recipient_hash ORDER BY at RANGE BETWEEN 1000 PRECEDING AND 1000 FOLLOWING) AS links,
            uniqExactIf(recipient_hash, early) OVER (PARTITION BY early, if(early, address_range, '') ORDER BY if(early, at, 0) RANGE BETWEEN 10000 PRECEDING AND 10000 FOLLOWING) AS recipients,
            countIf(user_agent != '') OVER (PARTITION BY source) > 0 AS tells_agents
        FROM timed
    ),
    reasoned AS
    (
        SELECT
            *,
            multiIf(
                after >= -3600000 AND after < if(type = 'opened', 2000, 8000), 'too_soon',
                type = 'clicked' AND links >= 3, 'burst',
                early AND recipients >= 5, 'crowd',
                type = 'clicked' AND user_agent = '' AND tells_agents, 'agent',
                match(user_agent, '(?i)^(mozilla/[45]\\.0|curl|wget|python|java|okhttp|axios|node|libwww|lwp|php|ruby|apache-httpclient|go-http-client)([/ ][0-9a-z.]*)?$|headless|phantomjs'), 'agent',
                '') AS own
        FROM counted
    ),
    judgements AS
    (
        SELECT
            id,
            if(own = '' AND type = 'opened', anyIf(own, own != '' AND type = 'clicked')
                OVER (PARTITION BY source, message_id, recipient_hash, ip ORDER BY at RANGE BETWEEN 2000 PRECEDING AND 2000 FOLLOWING), own) AS verdict
        FROM reasoned
    )
SELECT
    id, type, time, received_at, provider, source, provider_event, provider_event_id,
    message_id, recipient, recipient_domain, recipient_hash, mailbox_provider,
    campaign, tags, metadata, subject, from_domain, sending_domain, template, bounce_type, reason, cause, confidence, classifier,
    permanent, smtp_code, enhanced_code, smtp_reply, blocklist, blocklist_subject, blocklist_url,
    url, ip, user_agent, country, feedback_source, list_id, sending_ip, ip_pool, raw, origin, kafka_topic, kafka_partition, kafka_offset, weight,
    if(verdict = '', said, true), said, verdict, {at:UInt64}
FROM event_log FINAL INNER JOIN judgements USING (id)
WHERE type IN ('opened', 'clicked') AND time >= hour_start AND time < hour_end
  AND if(machine_reason = '', verdict != '' AND NOT ifNull(machine, false), verdict != machine_reason)
SETTINGS
    do_not_merge_across_partitions_select_final = 1,
    apply_mutations_on_fly = 1,
    max_threads = 2
