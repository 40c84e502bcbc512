-- The messages of a campaign, laid out by campaign: its funnel reads its messages and no
-- others. It has one row a message and recipient and leads to no person, so that a
-- funnel stays when a person is forgotten. Events in which the provider does not name
-- the campaign are not in it; messages has them.
CREATE TABLE IF NOT EXISTS campaign_state {{on_cluster}}
(
    campaign LowCardinality(String),
    message FixedString(16) COMMENT 'Hash of message, source and person: it leads to none',
    source LowCardinality(String),
    provider SimpleAggregateFunction(max, LowCardinality(String)),
    mailbox_provider SimpleAggregateFunction(max, LowCardinality(String)),
    sending_ip SimpleAggregateFunction(max, String),
    first_event SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_event SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    processed SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    deferred SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    delivered SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    bounced SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    blocked SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    failed SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    first_open SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    first_open_by_person SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    first_click SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    first_click_by_person SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    complained SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    unsubscribed SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    outcome SimpleAggregateFunction(max, Tuple(DateTime64(3, 'UTC'), String)),
    received_at SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = {{replicated}}AggregatingMergeTree
ORDER BY (campaign, source, message)
TTL received_at + toIntervalDay(400)
SETTINGS index_granularity = 1024, min_age_to_force_merge_seconds = 21600
COMMENT 'Messages by campaign with rows not yet merged: query the view campaign_messages';

CREATE MATERIALIZED VIEW IF NOT EXISTS campaign_state_fill {{on_cluster}} TO campaign_state
AS SELECT
    campaign, sipHash128(message_id, source, recipient_hash) AS message, source, provider, mailbox_provider, sending_ip,
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
    if(type IN ('delivered', 'bounced', 'blocked', 'failed'), (time, toString(type)), (toDateTime64(0, 3, 'UTC'), '')) AS outcome,
    toDateTime(received_at, 'UTC') AS received_at
FROM event_log
WHERE campaign != '' AND message_id != '';

INSERT INTO campaign_state
(
    campaign, message, source, provider, mailbox_provider, sending_ip, first_event, last_event, processed,
    deferred, delivered, bounced, blocked, failed, first_open, first_open_by_person, first_click,
    first_click_by_person, complained, unsubscribed, outcome, received_at
)
SELECT
    campaign, sipHash128(message_id, source, recipient_hash) AS message, source, provider, mailbox_provider, sending_ip,
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
    if(type IN ('delivered', 'bounced', 'blocked', 'failed'), (time, toString(type)), (toDateTime64(0, 3, 'UTC'), '')) AS outcome,
    toDateTime(received_at, 'UTC') AS received_at
FROM event_log
WHERE campaign != '' AND message_id != ''
SETTINGS max_threads = 2, max_insert_threads = 1, max_block_size = 65409, min_insert_block_size_rows = 262144, min_insert_block_size_bytes = 67108864;

CREATE VIEW IF NOT EXISTS campaign_messages {{on_cluster}}
(
    campaign LowCardinality(String) COMMENT 'Campaign of the message. Rows are looked up by it',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    sending_ip String COMMENT 'Address the message was sent from',
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
    outcome LowCardinality(String) COMMENT 'Latest of delivered, bounced, blocked, failed; empty: none yet',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was'
)
AS SELECT
    campaign, source, provider, mailbox_provider, sending_ip, first_event, last_event, processed, deferred,
    delivered, bounced, blocked, failed, first_open, first_open_by_person, first_click,
    first_click_by_person, complained, unsubscribed, CAST(s.outcome.2, 'LowCardinality(String)') AS outcome,
    nullIf(s.outcome.1, toDateTime64(0, 3, 'UTC')) AS outcome_at
FROM campaign_state AS s FINAL;
