-- Stores opens and clicks of people who are forgotten, with what was judged of them.
INSERT INTO event_log
(
    id, type, time, received_at, provider, source, provider_event, provider_event_id,
    message_id, recipient, recipient_domain, recipient_hash, mailbox_provider,
    campaign, tags, metadata, subject, from_domain, sending_domain, template, bounce_type, reason, cause, confidence, classifier,
    permanent, smtp_code, enhanced_code, smtp_reply, blocklist, blocklist_subject, blocklist_url,
    url, ip, user_agent, country, machine,
    feedback_source, list_id, sending_ip, ip_pool, raw, origin, kafka_topic, kafka_partition, kafka_offset,
    weight, message_key, machine_before, machine_reason, judged
)
