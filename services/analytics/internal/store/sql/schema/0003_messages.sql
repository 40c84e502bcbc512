-- One row a message and recipient: what happened to it first, in any order of
-- arrival and however often. Everything is a minimum or a maximum, so repeats
-- change nothing, and rows of one message collapse in merges. The view on
-- event_log writes a row an event without grouping, which measured a tenth of
-- what grouping costs the insert.
CREATE TABLE IF NOT EXISTS messages_state {{on_cluster}}
(
    message_id String,
    source LowCardinality(String),
    recipient_hash String,
    provider SimpleAggregateFunction(max, LowCardinality(String)),
    recipient SimpleAggregateFunction(max, String),
    recipient_domain SimpleAggregateFunction(max, LowCardinality(String)),
    mailbox_provider SimpleAggregateFunction(max, LowCardinality(String)),
    campaign SimpleAggregateFunction(max, LowCardinality(String)),
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
    received_at SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = {{replicated}}AggregatingMergeTree
ORDER BY (message_id, source, recipient_hash)
TTL received_at + toIntervalDay(400)
SETTINGS min_age_to_force_merge_seconds = 21600
COMMENT 'Messages with rows not yet merged: query the view messages';

CREATE MATERIALIZED VIEW IF NOT EXISTS messages_fill {{on_cluster}} TO messages_state
AS SELECT
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
    toDateTime(received_at, 'UTC') AS received_at
FROM event_log
WHERE message_id != '';

CREATE VIEW IF NOT EXISTS messages {{on_cluster}}
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
FROM messages_state FINAL;
