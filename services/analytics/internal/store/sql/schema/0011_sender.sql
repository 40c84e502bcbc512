-- What a message says of itself and of its sender, where the provider tells it. Rows
-- of before have the empty word.
ALTER TABLE event_log {{on_cluster}}
    ADD COLUMN IF NOT EXISTS subject String COMMENT 'Subject of the message' AFTER metadata,
    ADD COLUMN IF NOT EXISTS from_domain LowCardinality(String) COMMENT 'Domain of the From header (RFC 5322)' AFTER subject,
    ADD COLUMN IF NOT EXISTS sending_domain LowCardinality(String) COMMENT 'Domain of the DKIM signature or of the envelope sender' AFTER from_domain,
    ADD COLUMN IF NOT EXISTS template LowCardinality(String) COMMENT 'Template of the message' AFTER sending_domain,
    ADD COLUMN IF NOT EXISTS ip_pool LowCardinality(String) COMMENT 'Name of the pool that sending_ip is one of' AFTER sending_ip;

CREATE OR REPLACE VIEW events {{on_cluster}}
(
    id UUID COMMENT 'UUIDv8: milliseconds of time, then a hash; the same event has the same id whenever it is sent. Looked up by an index',
    type LowCardinality(String) COMMENT 'processed, delivered, deferred, bounced, blocked, failed, opened, clicked, complained, unsubscribed, subscribed, other',
    time DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the provider. Filter on it: the table is laid out by day',
    received_at DateTime64(3, 'UTC') COMMENT 'When the ingress took it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    provider_event LowCardinality(String) COMMENT 'The own word of the provider for type',
    provider_event_id String COMMENT 'Evidence only: may change when the provider sends again',
    message_id String COMMENT 'Exact, also beyond 2^53. Looked up by an index',
    recipient String COMMENT 'The address as received. Looked up by an index',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    recipient_hash String COMMENT 'Keyed hash of the canonical address: the same person at every provider. Looked up by an index',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    campaign LowCardinality(String) COMMENT 'Campaign of the message',
    tags Array(String) COMMENT 'Tags of the message',
    metadata Map(String, String) COMMENT 'What the sender attached to the message',
    subject String COMMENT 'Subject of the message, where the provider tells it',
    from_domain LowCardinality(String) COMMENT 'Domain of the From header, which readers see: lower case, A-label',
    sending_domain LowCardinality(String) COMMENT 'Domain of the DKIM signature or of the envelope sender, whichever the provider tells',
    template LowCardinality(String) COMMENT 'Template of the message, by the name or number of the provider',
    bounce_type LowCardinality(String) COMMENT 'hard or soft, bounced only',
    reason LowCardinality(String) COMMENT 'Why it did not arrive: invalid_recipient, mailbox_full, reputation, policy, ...',
    cause LowCardinality(String) COMMENT 'Who has to act: recipient, sender, content, provider, network, other',
    confidence LowCardinality(String) COMMENT 'How sure reason is: certain, likely, unknown',
    classifier LowCardinality(String) COMMENT 'Version of the data file that gave reason and cause',
    permanent Nullable(Bool) COMMENT 'Trying this address again is pointless: true only of what is certain; NULL is unknown',
    smtp_code UInt16 COMMENT 'Reply code of the remote server; 0 is unknown',
    enhanced_code LowCardinality(String) COMMENT 'RFC 3463, such as 5.1.1',
    smtp_reply String COMMENT 'Reply text of the remote server',
    blocklist LowCardinality(String) COMMENT 'Who refused us, where the reply names it: spamhaus-zen, microsoft-s3150, ...',
    blocklist_subject String COMMENT 'The IP address or domain of ours that the list names',
    blocklist_url String COMMENT 'Where to look it up or have it taken off',
    url String COMMENT 'The link, clicked only',
    ip String COMMENT 'Address of who opened or clicked',
    user_agent String COMMENT 'Browser or mail program of who opened or clicked',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2',
    machine Nullable(Bool) COMMENT 'A prefetch or scanner did it, not a person; NULL is unknown',
    feedback_source LowCardinality(String) COMMENT 'Feedback loop of a complaint',
    list_id String COMMENT 'List that was left or joined',
    sending_ip String COMMENT 'Address the message was sent from',
    ip_pool LowCardinality(String) COMMENT 'Name of the pool of addresses that sending_ip is one of',
    raw String COMMENT 'The item of the provider exactly as received, JSON',
    origin LowCardinality(String) COMMENT 'How the latest record of the event came about: live, replay, backfill, simulate'
)
AS SELECT
    id, type, time, received_at, provider, source, provider_event, provider_event_id,
    message_id, recipient, recipient_domain, recipient_hash, mailbox_provider,
    campaign, tags, metadata, subject, from_domain, sending_domain, template, bounce_type, reason, cause, confidence, classifier,
    permanent, smtp_code, enhanced_code, smtp_reply, blocklist, blocklist_subject, blocklist_url,
    url, ip, user_agent, country, machine,
    feedback_source, list_id, sending_ip, ip_pool, raw, origin
FROM event_log FINAL
SETTINGS
    do_not_merge_across_partitions_select_final = 1,
    use_skip_indexes_if_final = 1,
    use_skip_indexes_if_final_exact_mode = 0;
