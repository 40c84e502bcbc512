-- Judges the opens and clicks of an hour by what is known of their messages by now, and
-- writes again those events whose judgement is another one. A reason counts before the
-- ones below it:
--   too_soon  opened within 2 s, or clicked within 8 s, of the delivery, or up to a minute before it
--   burst     three links of a message within a second; in whole seconds, in the same one
--   crowd     clicks of five recipients from one address range (/24, /48) within 10 s,
--             each on two links or more within a minute of the delivery
--   agent     a user agent of a program, or none although the source tells one of other clicks
-- An open beside a click of a machine, within 2 s from the same address, is of it, too.
-- People come first. Where acts come before their message was processed, or more than a minute
-- before it was delivered, the clocks of the source are apart, and nothing is too soon: for
-- that message, and for its source where it is so for three acts and one of a hundred.
-- A crowd of which somebody was forgotten stays one: no rate changes with whom is forgotten.
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
    (
        SELECT count() > 0
        FROM event_log FINAL
        WHERE type = 'clicked' AND recipient_hash = '' AND machine_reason = 'crowd' AND time >= hour_start AND time < hour_end
    ) AS crowd_forgotten,
    acts AS
    (
        SELECT
            id, type, time, toUnixTimestamp64Milli(time) AS at, source, message_id, recipient_hash, url, ip, user_agent,
            machine_reason = 'crowd' AND crowd_forgotten AS crowded,
            replaceRegexpOne(ip, '(?i)^::ffff:([0-9.]+)$', '\\1') AS plain_ip,
            multiIf(isIPv4String(plain_ip), arrayStringConcat(arraySlice(splitByChar('.', plain_ip), 1, 3), '.'),
                isIPv6String(plain_ip), hex(substring(toString(IPv6StringToNumOrDefault(plain_ip)), 1, 6)), '') AS address_range
        FROM event_log FINAL
        WHERE type IN ('opened', 'clicked') AND message_id != ''
          AND time >= hour_start - toIntervalMinute(1) AND time < hour_end + toIntervalMinute(1)
    ),
    deliveries AS
    (
        SELECT
            source, message_id, recipient_hash, toUnixTimestamp64Milli(assumeNotNull(min(delivered))) AS delivered_at,
            toUnixTimestamp64Milli(ifNull(min(processed), toDateTime64(0, 3, 'UTC'))) AS processed_at
        FROM messages_state
        WHERE message_id IN (SELECT message_id FROM acts)
        GROUP BY source, message_id, recipient_hash
        HAVING min(delivered) IS NOT NULL
    ),
    timed AS
    (
        SELECT
            acts.id AS id, acts.type AS type, acts.at AS at, acts.source AS source, acts.message_id AS message_id,
            acts.recipient_hash AS recipient_hash, acts.url AS url, acts.ip AS ip, acts.user_agent AS user_agent,
            acts.address_range AS address_range, acts.crowded AS crowded,
            if(deliveries.delivered_at = 0, NULL, acts.at - deliveries.delivered_at) AS apart,
            deliveries.delivered_at != 0 AND acts.at < greatest(deliveries.processed_at - 1000, deliveries.delivered_at - 60000) AS impossible
        FROM acts LEFT JOIN deliveries
            ON acts.source = deliveries.source AND acts.message_id = deliveries.message_id AND acts.recipient_hash = deliveries.recipient_hash
    ),
    dated AS
    (
        SELECT
            *,
            if(max(impossible) OVER (PARTITION BY source, message_id, recipient_hash)
                OR countIf(impossible) OVER (PARTITION BY source) >= greatest(3, count() OVER (PARTITION BY source) / 100), NULL, apart) AS after,
            countIf(user_agent != '') OVER (PARTITION BY source, type) > 0 AS tells_agents
        FROM timed
    ),
    linked AS
    (
        SELECT
            *,
            uniqExactIf(url, type = 'clicked') OVER (PARTITION BY source, message_id, recipient_hash ORDER BY at RANGE BETWEEN CURRENT ROW AND 999 FOLLOWING) AS links_from_here,
            type = 'clicked' AND address_range != '' AND after >= 0 AND after <= 60000 AS early,
            uniqExactIf(url, type = 'clicked' AND after >= 0 AND after <= 60000) OVER (PARTITION BY source, message_id, recipient_hash) > 1 AS several
        FROM dated
    ),
    counted AS
    (
        SELECT
            *,
            max(links_from_here) OVER (PARTITION BY source, message_id, recipient_hash ORDER BY at RANGE BETWEEN 999 PRECEDING AND CURRENT ROW) AS links,
            uniqExactIf(recipient_hash, early AND several) OVER (PARTITION BY early AND several, if(early AND several, address_range, '')
                ORDER BY if(early AND several, at, 0) RANGE BETWEEN 10000 PRECEDING AND 10000 FOLLOWING) AS recipients
        FROM linked
    ),
    reasoned AS
    (
        SELECT
            *,
            multiIf(
                after >= -60000 AND after < if(type = 'opened', 2000, 8000), 'too_soon',
                type = 'clicked' AND links >= 3, 'burst',
                early AND several AND (recipients >= 5 OR crowded), 'crowd',
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
