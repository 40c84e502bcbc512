-- Messages laid out by the day of their first event and by mailbox provider, so that a
-- question about some days reads the messages of these. An event is stored with the day it
-- happened on, whatever came before it: its message may have a row on each of several days.
-- analytics gathers these: it adds what later days know to the row of the first one and
-- marks the others late, see gather_home.sql. Whatever it repeats changes nothing, as all
-- columns are minima, maxima and sets. Rows lead to no person, as those of campaign_state.
CREATE TABLE IF NOT EXISTS day_state {{on_cluster}}
(
    mailbox_provider LowCardinality(String),
    source LowCardinality(String),
    message FixedString(16) COMMENT 'Hash of message, source and person: it leads to none',
    provider SimpleAggregateFunction(max, LowCardinality(String)),
    recipient_domain SimpleAggregateFunction(max, LowCardinality(String)),
    campaign SimpleAggregateFunction(max, LowCardinality(String)),
    sending_ip SimpleAggregateFunction(max, String),
    first_event SimpleAggregateFunction(min, DateTime64(3, 'UTC')) COMMENT 'On one day in all rows of a key',
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
    received_at SimpleAggregateFunction(max, DateTime('UTC')),
    open_acts SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(DateTime64(3, 'UTC'), UInt64, UInt64, UInt8))),
    click_acts SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(DateTime64(3, 'UTC'), UInt64, UInt64, UInt8))),
    weights SimpleAggregateFunction(maxMap, Map(String, Float64)),
    stored SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'When the latest event was; 0: gathered from other rows',
    late SimpleAggregateFunction(max, UInt8) COMMENT '1: the message is on another day, or of another mailbox provider'
)
ENGINE = {{replicated}}AggregatingMergeTree
ORDER BY (toDate(first_event), mailbox_provider, source, message)
TTL received_at + toIntervalDay(400)
SETTINGS index_granularity = 1024
COMMENT 'Messages by day with rows not yet merged or gathered: query the view messages_by_day';

CREATE MATERIALIZED VIEW IF NOT EXISTS day_state_fill {{on_cluster}} TO day_state
AS SELECT
    mailbox_provider, source, sipHash128(message_id, source, recipient_hash) AS message, provider, recipient_domain, campaign, sending_ip,
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
    toDateTime(received_at, 'UTC') AS received_at,
    if(type = 'opened', [(time, sipHash64(id), judged, toUInt8(ifNull(machine, false)))], []) AS open_acts,
    if(type = 'clicked', [(time, sipHash64(id), judged, toUInt8(ifNull(machine, false)))], []) AS click_acts,
    if(weight IN (0, 1), map(), map(toString(type), weight)) AS weights,
    now('UTC') AS stored
FROM event_log
WHERE message_id != '';

-- How far analytics has gathered.
CREATE TABLE IF NOT EXISTS day_gathers {{on_cluster}}
(
    work LowCardinality(String) COMMENT 'day_state',
    until SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'Rows that were stored before are gathered, but for inserts that take long'
)
ENGINE = {{replicated}}AggregatingMergeTree
ORDER BY work
COMMENT 'How far rows of day_state are gathered';

INSERT INTO day_state
(
    mailbox_provider, source, message, provider, recipient_domain, campaign, sending_ip, first_event,
    last_event, processed, deferred, delivered, bounced, blocked, failed, first_open, first_open_by_person,
    first_click, first_click_by_person, complained, unsubscribed, outcome, received_at, open_acts, click_acts,
    weights
)
SELECT
    mailbox_provider, source, sipHash128(message_id, source, recipient_hash) AS message, provider, recipient_domain, campaign, sending_ip,
    first_event, last_event, processed, deferred, delivered, bounced, blocked, failed, first_open, first_open_by_person,
    first_click, first_click_by_person, complained, unsubscribed, outcome, received_at,
    arrayMap(act -> (act.1, sipHash64(act.2), act.3, act.4), s.open_acts) AS open_acts,
    arrayMap(act -> (act.1, sipHash64(act.2), act.3, act.4), s.click_acts) AS click_acts,
    weights
FROM messages_state AS s FINAL
SETTINGS max_threads = 2, max_insert_threads = 1, max_block_size = 8192, min_insert_block_size_rows = 262144, min_insert_block_size_bytes = 67108864;

CREATE VIEW IF NOT EXISTS messages_by_day {{on_cluster}}
(
    source LowCardinality(String) COMMENT 'The configured account that received it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ... Of the days of first_event, rows are looked up by it',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    campaign LowCardinality(String) COMMENT 'Campaign of the message',
    sending_ip String COMMENT 'Address the message was sent from',
    first_event DateTime64(3, 'UTC') COMMENT 'Earliest event of the message. Rows are looked up by its day, UTC',
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
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was',
    weights Map(String, Float64) COMMENT 'For how many messages it stands, by type of event, where a sample of them is kept: greatest(1, weights[type])'
)
AS WITH
    -- Of each act the latest judgement.
    arrayFilter((act, next) -> act.2 != next.2 AND NOT act.4, arraySort(act -> (act.2, act.3, act.4), s.open_acts) AS open_sorted, arrayShiftLeft(open_sorted, 1)) AS opens_of_people,
    arrayFilter((act, next) -> act.2 != next.2 AND NOT act.4, arraySort(act -> (act.2, act.3, act.4), s.click_acts) AS click_sorted, arrayShiftLeft(click_sorted, 1)) AS clicks_of_people
SELECT
    source, provider, mailbox_provider, recipient_domain, campaign, sending_ip, first_event, last_event, processed, deferred,
    delivered, bounced, blocked, failed, first_open, if(empty(s.open_acts), s.first_open_by_person, arrayReduce('minOrNull', arrayMap(act -> act.1, opens_of_people))) AS first_open_by_person,
    first_click, if(empty(s.click_acts), s.first_click_by_person, arrayReduce('minOrNull', arrayMap(act -> act.1, clicks_of_people))) AS first_click_by_person,
    complained, unsubscribed, CAST(s.outcome.2, 'LowCardinality(String)') AS outcome,
    nullIf(s.outcome.1, toDateTime64(0, 3, 'UTC')) AS outcome_at,
    weights
FROM day_state AS s FINAL
WHERE NOT late;
