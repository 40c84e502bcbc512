-- The timelines of the console read two columns of event_log on each day of a person, with
-- a filter that finds one block in a hundred falsely: a million rows of a hundred million.
-- person_log has these columns, too, now. Rows that were classified, a few in a hundred,
-- are written once more with them.
ALTER TABLE person_log {{on_cluster}}
    ADD COLUMN IF NOT EXISTS classifier LowCardinality(String),
    ADD COLUMN IF NOT EXISTS blocklist_url String;

-- Keeps time of the key in memory. By default only what tells blocks apart is kept there,
-- which is recipient_hash as a rule, and a range of time finds nothing.
ALTER TABLE person_log {{on_cluster}}
    MODIFY SETTING primary_key_ratio_of_unique_prefix_values_to_skip_suffix_columns = 1;

ALTER TABLE person_log_fill {{on_cluster}} MODIFY QUERY
SELECT
    recipient_hash, toDate(time) AS day, id, type, time, received_at, provider, source, provider_event,
    message_id, recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain,
    sending_domain, template, bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code,
    smtp_reply, blocklist, url, ip, user_agent, country, machine, feedback_source, list_id, sending_ip,
    ip_pool, origin, machine_reason, weight, classifier, blocklist_url
FROM event_log
WHERE recipient_hash != '';

INSERT INTO person_log
(
    recipient_hash, day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code, smtp_reply, blocklist, url,
    ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin, machine_reason,
    weight, classifier, blocklist_url
)
SELECT
    recipient_hash, toDate(time) AS day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code, smtp_reply, blocklist, url,
    ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin, machine_reason,
    weight, classifier, blocklist_url
FROM event_log FINAL
WHERE recipient_hash != '' AND classifier != ''
SETTINGS max_threads = 2, max_insert_threads = 1, max_block_size = 65409, min_insert_block_size_rows = 262144, min_insert_block_size_bytes = 67108864,
    do_not_merge_across_partitions_select_final = 1, apply_mutations_on_fly = 1;

CREATE OR REPLACE VIEW person_messages {{on_cluster}}
(
    recipient_hash String COMMENT 'Keyed hash of the canonical address: the same person at every provider. Rows are looked up by it',
    day Date COMMENT 'Day of time, UTC',
    id UUID COMMENT 'UUIDv8: milliseconds of time, then a hash; the same event has the same id whenever it is sent',
    type LowCardinality(String) COMMENT 'processed, delivered, deferred, bounced, blocked, failed, opened, clicked, complained, unsubscribed, subscribed, other',
    time DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the provider',
    received_at DateTime64(3, 'UTC') COMMENT 'When the ingress took it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    provider_event LowCardinality(String) COMMENT 'The own word of the provider for type',
    message_id String COMMENT 'Exact, also beyond 2^53',
    recipient String COMMENT 'The address as received',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    campaign LowCardinality(String) COMMENT 'Campaign of the message',
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
    origin LowCardinality(String) COMMENT 'How the latest record of the event came about: live, replay, backfill, simulate',
    machine_reason LowCardinality(String) COMMENT 'Why machine was judged after the fact: too_soon, burst, crowd, agent; empty: machine is what provider and user agent say',
    weight Float64 COMMENT 'For how many events it stands: 1, or more where a sample is kept'
)
AS SELECT
    recipient_hash, day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, classifier, permanent, smtp_code, enhanced_code, smtp_reply, blocklist,
    blocklist_url, url, ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin,
    machine_reason, weight
FROM person_log FINAL
SETTINGS apply_mutations_on_fly = 1;

-- The events of one message. It reads of each of its people what is between its first and
-- its last event, no longer all: an address of a role has hundreds of thousands. And it
-- looks into messages_state once, where it did five times.
CREATE OR REPLACE VIEW message_story {{on_cluster}}
AS WITH
(
    SELECT (groupUniqArray(recipient_hash), min(first_event), max(last_event), minIf(first_event, recipient_hash = ''), maxIf(last_event, recipient_hash = ''))
    FROM messages_state
    WHERE message_id = {message_id:String}
) AS known
SELECT
    recipient_hash, day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, classifier, permanent, smtp_code, enhanced_code, smtp_reply, blocklist,
    blocklist_url, url, ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin,
    machine_reason, weight
FROM person_messages
WHERE message_id = {message_id:String} AND recipient_hash IN known.1 AND time >= known.2 AND time <= known.3
UNION ALL
WITH
(
    SELECT (groupUniqArray(recipient_hash), min(first_event), max(last_event), minIf(first_event, recipient_hash = ''), maxIf(last_event, recipient_hash = ''))
    FROM messages_state
    WHERE message_id = {message_id:String}
) AS known
SELECT
    recipient_hash, toDate(time) AS day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, classifier, permanent, smtp_code, enhanced_code, smtp_reply, blocklist,
    blocklist_url, url, ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin,
    machine_reason, weight
FROM events
WHERE message_id = {message_id:String} AND recipient_hash = '' AND time >= known.4 AND time <= known.5;
