-- The events of a person, laid out by person: a whole story of 400 days is one or two
-- blocks of rows, where event_log has them in as many days. It has all that a story
-- is read for; raw, tags and metadata are in events, by id. A repeat of an event has
-- the same key and collapses.
CREATE TABLE IF NOT EXISTS person_log {{on_cluster}}
(
    recipient_hash String,
    day Date,
    id UUID,
    type LowCardinality(String),
    time DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    provider LowCardinality(String),
    source LowCardinality(String),
    provider_event LowCardinality(String),
    message_id String,
    recipient String,
    recipient_domain LowCardinality(String),
    mailbox_provider LowCardinality(String),
    campaign LowCardinality(String),
    subject String,
    from_domain LowCardinality(String),
    sending_domain LowCardinality(String),
    template LowCardinality(String),
    bounce_type LowCardinality(String),
    reason LowCardinality(String),
    cause LowCardinality(String),
    confidence LowCardinality(String),
    permanent Nullable(Bool),
    smtp_code UInt16,
    enhanced_code LowCardinality(String),
    smtp_reply String,
    blocklist LowCardinality(String),
    url String,
    ip String,
    user_agent String,
    country LowCardinality(String),
    machine Nullable(Bool),
    feedback_source LowCardinality(String),
    list_id String,
    sending_ip String,
    ip_pool LowCardinality(String),
    origin LowCardinality(String)
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (recipient_hash, time, id)
TTL toDateTime(received_at) + toIntervalDay(400)
SETTINGS index_granularity = 1024, min_age_to_force_merge_seconds = 21600
COMMENT 'Events by person with repeats not yet merged away: query the view person_messages';

CREATE MATERIALIZED VIEW IF NOT EXISTS person_log_fill {{on_cluster}} TO person_log
AS SELECT
    recipient_hash, toDate(time) AS day, id, type, time, received_at, provider, source, provider_event,
    message_id, recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain,
    sending_domain, template, bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code,
    smtp_reply, blocklist, url, ip, user_agent, country, machine, feedback_source, list_id, sending_ip,
    ip_pool, origin
FROM event_log
WHERE recipient_hash != '';

INSERT INTO person_log
(
    recipient_hash, day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code, smtp_reply, blocklist, url,
    ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin
)
SELECT
    recipient_hash, toDate(time) AS day, id, type, time, received_at, provider, source, provider_event,
    message_id, recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain,
    sending_domain, template, bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code,
    smtp_reply, blocklist, url, ip, user_agent, country, machine, feedback_source, list_id, sending_ip,
    ip_pool, origin
FROM event_log
WHERE recipient_hash != ''
SETTINGS max_threads = 2, max_insert_threads = 1, max_block_size = 65409, min_insert_block_size_rows = 262144, min_insert_block_size_bytes = 67108864;

CREATE VIEW IF NOT EXISTS person_messages {{on_cluster}}
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
    permanent Nullable(Bool) COMMENT 'Trying this address again is pointless: true only of what is certain; NULL is unknown',
    smtp_code UInt16 COMMENT 'Reply code of the remote server; 0 is unknown',
    enhanced_code LowCardinality(String) COMMENT 'RFC 3463, such as 5.1.1',
    smtp_reply String COMMENT 'Reply text of the remote server',
    blocklist LowCardinality(String) COMMENT 'Who refused us, where the reply names it: spamhaus-zen, microsoft-s3150, ...',
    url String COMMENT 'The link, clicked only',
    ip String COMMENT 'Address of who opened or clicked',
    user_agent String COMMENT 'Browser or mail program of who opened or clicked',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2',
    machine Nullable(Bool) COMMENT 'A prefetch or scanner did it, not a person; NULL is unknown',
    feedback_source LowCardinality(String) COMMENT 'Feedback loop of a complaint',
    list_id String COMMENT 'List that was left or joined',
    sending_ip String COMMENT 'Address the message was sent from',
    ip_pool LowCardinality(String) COMMENT 'Name of the pool of addresses that sending_ip is one of',
    origin LowCardinality(String) COMMENT 'How the latest record of the event came about: live, replay, backfill, simulate'
)
AS SELECT
    recipient_hash, day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code, smtp_reply, blocklist, url,
    ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin
FROM person_log FINAL
SETTINGS apply_mutations_on_fly = 1;

-- message_story(message_id = '...') are the events of one message: messages says to
-- whom it went, and person_messages has them side by side, on whatever day they came.
-- Events that name no person are looked for in events.
CREATE VIEW IF NOT EXISTS message_story {{on_cluster}}
AS SELECT
    recipient_hash, day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code, smtp_reply, blocklist, url,
    ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin
FROM person_messages
WHERE message_id = {message_id:String}
  AND recipient_hash IN (SELECT recipient_hash FROM messages_state WHERE message_id = {message_id:String})
UNION ALL
SELECT
    recipient_hash, toDate(time) AS day, id, type, time, received_at, provider, source, provider_event,
    message_id, recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain,
    sending_domain, template, bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code,
    smtp_reply, blocklist, url, ip, user_agent, country, machine, feedback_source, list_id, sending_ip,
    ip_pool, origin
FROM events
WHERE message_id = {message_id:String} AND recipient_hash = ''
  AND time >= (SELECT min(first_event) FROM messages_state WHERE message_id = {message_id:String} AND recipient_hash = '')
  AND time <= (SELECT max(last_event) FROM messages_state WHERE message_id = {message_id:String} AND recipient_hash = '');
