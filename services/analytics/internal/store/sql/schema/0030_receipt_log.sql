-- Each receipt of an event, so that a story says how often an event came and when first:
-- merges leave of event_log and person_log the latest. A record that is read from Kafka
-- once more, judged or made anew has the time of receipt of before, and so adds none. Only
-- counted are events that lead to nobody and to no message: no story shows these.
CREATE TABLE IF NOT EXISTS receipt_log {{on_cluster}}
(
    recipient_hash String COMMENT 'Keyed hash of the canonical address: the same person at every provider. Empty: the event names nobody, and is of a message',
    time DateTime64(3, 'UTC') COMMENT 'When the event happened, by the clock of the provider' CODEC(Delta(8), ZSTD(1)),
    id UUID COMMENT 'Of the event',
    received_at DateTime64(3, 'UTC') COMMENT 'When the ingress took it, one row a time' CODEC(Delta(8), ZSTD(1))
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY (recipient_hash, time, id, received_at)
TTL toDateTime(received_at) + toIntervalDay(400)
SETTINGS index_granularity = 1024, primary_key_ratio_of_unique_prefix_values_to_skip_suffix_columns = 1
COMMENT 'Receipts of events by person, some twice until merges: count them with uniqExact(received_at)';

CREATE MATERIALIZED VIEW IF NOT EXISTS receipt_log_fill {{on_cluster}} TO receipt_log
AS SELECT recipient_hash, time, id, received_at
FROM event_log
WHERE recipient_hash != '' OR message_id != '';

INSERT INTO receipt_log (recipient_hash, time, id, received_at)
SELECT recipient_hash, time, id, received_at
FROM event_log
WHERE recipient_hash != '' OR message_id != ''
SETTINGS max_threads = 2, max_insert_threads = 1, max_block_size = 65409, min_insert_block_size_rows = 262144, min_insert_block_size_bytes = 67108864, apply_mutations_on_fly = 1;
