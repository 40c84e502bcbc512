-- What else a message is asked for: what it was, how often it was opened and clicked,
-- and how it ended. Counts are sets of event ids, so a repeat changes none; an event
-- that is later judged to be of a machine leaves the count of people. The rows that
-- are there are written once more, which changes nothing but the new columns.
ALTER TABLE messages_state {{on_cluster}}
    ADD COLUMN IF NOT EXISTS sending_ip SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS subject SimpleAggregateFunction(max, String),
    ADD COLUMN IF NOT EXISTS tags SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    ADD COLUMN IF NOT EXISTS metadata SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(String, String))),
    ADD COLUMN IF NOT EXISTS opens SimpleAggregateFunction(groupUniqArrayArray, Array(UUID)),
    ADD COLUMN IF NOT EXISTS machine_opens SimpleAggregateFunction(groupUniqArrayArray, Array(UUID)),
    ADD COLUMN IF NOT EXISTS clicks SimpleAggregateFunction(groupUniqArrayArray, Array(UUID)),
    ADD COLUMN IF NOT EXISTS machine_clicks SimpleAggregateFunction(groupUniqArrayArray, Array(UUID)),
    ADD COLUMN IF NOT EXISTS outcome SimpleAggregateFunction(max, Tuple(DateTime64(3, 'UTC'), String));

ALTER TABLE messages_fill {{on_cluster}} MODIFY QUERY
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
    if(type IN ('delivered', 'bounced', 'blocked', 'failed'), (time, toString(type)), (toDateTime64(0, 3, 'UTC'), '')) AS outcome
FROM event_log
WHERE message_id != '';

INSERT INTO messages_state
(
    message_id, source, recipient_hash, provider, recipient, recipient_domain, mailbox_provider, campaign,
    first_event, last_event, processed, deferred, delivered, bounced, blocked, failed, first_open,
    first_open_by_person, first_click, first_click_by_person, complained, unsubscribed, received_at,
    sending_ip, subject, tags, metadata, opens, machine_opens, clicks, machine_clicks, outcome
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
    if(type IN ('delivered', 'bounced', 'blocked', 'failed'), (time, toString(type)), (toDateTime64(0, 3, 'UTC'), '')) AS outcome
FROM event_log
WHERE message_id != ''
SETTINGS max_threads = 2, max_insert_threads = 1, max_block_size = 65409, min_insert_block_size_rows = 262144, min_insert_block_size_bytes = 67108864;

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
    unsubscribed Nullable(DateTime64(3, 'UTC')) COMMENT 'First unsubscription',
    sending_ip String COMMENT 'Address the message was sent from',
    subject String COMMENT 'Subject of the message, where the provider tells it',
    tags Array(String) COMMENT 'Tags of all its events',
    metadata Map(String, String) COMMENT 'What the sender attached to the message',
    opens UInt64 COMMENT 'Opens, by whomever',
    opens_by_person UInt64 COMMENT 'Opens that are not known to be of a machine',
    clicks UInt64 COMMENT 'Clicks, by whomever',
    clicks_by_person UInt64 COMMENT 'Clicks that are not known to be of a machine',
    outcome LowCardinality(String) COMMENT 'Latest of delivered, bounced, blocked, failed; empty: none yet',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was'
)
AS SELECT
    message_id, source, recipient_hash,
    provider, recipient, recipient_domain, mailbox_provider, campaign, first_event, last_event,
    processed, deferred, delivered, bounced, blocked, failed,
    first_open, first_open_by_person, first_click, first_click_by_person, complained, unsubscribed,
    sending_ip,
    subject,
    arraySort(s.tags) AS tags,
    CAST(arraySort(s.metadata), 'Map(String, String)') AS metadata,
    length(s.opens) AS opens,
    length(arrayFilter(id -> NOT has(machine_opens, id), s.opens)) AS opens_by_person,
    length(s.clicks) AS clicks,
    length(arrayFilter(id -> NOT has(machine_clicks, id), s.clicks)) AS clicks_by_person,
    CAST(s.outcome.2, 'LowCardinality(String)') AS outcome,
    nullIf(s.outcome.1, toDateTime64(0, 3, 'UTC')) AS outcome_at
FROM messages_state AS s FINAL
SETTINGS apply_mutations_on_fly = 1;
