-- Starts the reference: what the queue yields goes into the same table.
CREATE MATERIALIZED VIEW queue_fill TO event_log
AS SELECT
    id, type, time, received_at, provider, source, provider_event, provider_event_id,
    message_id, recipient, recipient_domain, recipient_hash, mailbox_provider,
    campaign, tags, metadata, bounce_type, reason, cause, confidence, classifier,
    permanent, smtp_code, enhanced_code, smtp_reply, blocklist, blocklist_subject, blocklist_url,
    url, ip, user_agent, country, machine,
    feedback_source, list_id, sending_ip, raw,
    _topic AS kafka_topic, _partition AS kafka_partition, _offset AS kafka_offset
FROM queue
