-- The views that show people, once more, with what hides a forgotten one at once: a
-- change of rows takes until their parts are rewritten, on a large table minutes to
-- hours, and without apply_mutations_on_fly a query sees what was there before.
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
    use_skip_indexes_if_final_exact_mode = 0,
    apply_mutations_on_fly = 1;

CREATE OR REPLACE VIEW messages {{on_cluster}}
(
    message_id String COMMENT 'Of the provider; rows are looked up by it',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    recipient_hash String COMMENT 'Keyed hash of the canonical address',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    recipient String COMMENT 'The address as received',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    campaign LowCardinality(String) COMMENT 'Campaign of the message',
    first_event DateTime64(3, 'UTC') COMMENT 'Earliest event of the message',
    last_event DateTime64(3, 'UTC') COMMENT 'Latest event of the message',
    processed Nullable(DateTime64(3, 'UTC')) COMMENT 'When the provider took it; NULL here and below: never',
    deferred Nullable(DateTime64(3, 'UTC')) COMMENT 'First deferral',
    delivered Nullable(DateTime64(3, 'UTC')) COMMENT 'When the remote server took it',
    bounced Nullable(DateTime64(3, 'UTC')) COMMENT 'First bounce',
    blocked Nullable(DateTime64(3, 'UTC')) COMMENT 'First block',
    failed Nullable(DateTime64(3, 'UTC')) COMMENT 'First failure of the message itself',
    first_open Nullable(DateTime64(3, 'UTC')) COMMENT 'First open, by whomever',
    first_open_by_person Nullable(DateTime64(3, 'UTC')) COMMENT 'First open that is not known to be a machine',
    first_click Nullable(DateTime64(3, 'UTC')) COMMENT 'First click, by whomever',
    first_click_by_person Nullable(DateTime64(3, 'UTC')) COMMENT 'First click that is not known to be a machine',
    complained Nullable(DateTime64(3, 'UTC')) COMMENT 'First complaint',
    unsubscribed Nullable(DateTime64(3, 'UTC')) COMMENT 'First unsubscription'
)
AS SELECT
    message_id, source, recipient_hash,
    provider, recipient, recipient_domain, mailbox_provider, campaign, first_event, last_event,
    processed, deferred, delivered, bounced, blocked, failed,
    first_open, first_open_by_person, first_click, first_click_by_person, complained, unsubscribed
FROM messages_state FINAL
SETTINGS apply_mutations_on_fly = 1;

CREATE OR REPLACE VIEW suppressions {{on_cluster}}
(
    recipient_hash String COMMENT 'Keyed hash of the canonical address',
    address String COMMENT 'As first seen; empty once erased',
    scope LowCardinality(String) COMMENT 'account, stream:<name> or list:<id>',
    reason LowCardinality(String) COMMENT 'hard_bounce, soft_bounce, complaint, unsubscribe, provider_suppressed, manual',
    active Bool COMMENT 'The entry holds now: added not before it was removed, and not expired',
    since Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the present active period, by event time; NULL: none was added',
    added_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest event that added it; NULL: it was only removed',
    removed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest event that lifted it',
    expires_at Nullable(DateTime64(3, 'UTC')) COMMENT 'NULL: never',
    evidence String COMMENT 'Id of the event, or the API request, behind added_at',
    provider LowCardinality(String) COMMENT 'Who reported it',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    note String COMMENT 'What a person wrote when adding it',
    removed_by String COMMENT 'Id of the event, or the API request, behind removed_at',
    removed_note String COMMENT 'What a person wrote when lifting it',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the record was written'
)
AS SELECT
    recipient_hash, address,
    scope, reason,
    isNotNull(added_at) AND (isNull(removed_at) OR added_at >= removed_at) AND (isNull(expires_at) OR expires_at > now64(3)) AS active,
    ifNull(stated_since, added_at) AS since,
    added_at, removed_at, expires_at, evidence, provider, source, note, removed_by, removed_note, updated_at
FROM suppression_log FINAL
ARRAY JOIN
    `entries.scope` AS scope, `entries.reason` AS reason, `entries.added_at` AS added_at, `entries.removed_at` AS removed_at,
    `entries.expires_at` AS expires_at, `entries.since` AS stated_since, `entries.evidence` AS evidence,
    `entries.provider` AS provider, `entries.source` AS source, `entries.note` AS note,
    `entries.removed_by` AS removed_by, `entries.removed_note` AS removed_note
SETTINGS apply_mutations_on_fly = 1;

CREATE OR REPLACE VIEW dead_letters {{on_cluster}}
(
    id String COMMENT 'Hash of origin and bytes: a retry has the same',
    time DateTime64(3, 'UTC') COMMENT 'When it was given up',
    service LowCardinality(String) COMMENT 'Who gave up: ingress, analytics, ...',
    reason LowCardinality(String) COMMENT 'One word of the closed set of the service',
    detail String COMMENT 'The error, without secrets or addresses',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ..., where known',
    source LowCardinality(String) COMMENT 'The configured account, where known',
    origin String COMMENT 'topic/partition/offset of the record, where it was one',
    bytes String COMMENT 'As they came',
    received_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the ingress took it'
)
AS SELECT id, time, service, reason, detail, provider, source, origin, bytes, received_at
FROM dead_letter_log FINAL
SETTINGS apply_mutations_on_fly = 1;
