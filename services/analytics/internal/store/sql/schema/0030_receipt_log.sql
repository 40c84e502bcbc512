-- Each receipt of an event: how often it came, and when first. Merges leave of event_log
-- and person_log the latest. A record that is read from Kafka once more, judged or made
-- anew has the time of receipt of before, and so adds none. Rows lead to nobody, as those
-- of event_log that are blanked.
CREATE TABLE IF NOT EXISTS receipt_log {{on_cluster}}
(
    source LowCardinality(String) COMMENT 'The configured account that received it',
    type LowCardinality(String) COMMENT 'Of the event',
    time DateTime64(3, 'UTC') COMMENT 'When the event happened, by the clock of the provider' CODEC(Delta(8), ZSTD(1)),
    event UInt64 COMMENT 'sipHash64(id) of the event',
    received_at DateTime64(3, 'UTC') COMMENT 'When the ingress took it, one row a time' CODEC(Delta(8), ZSTD(1))
)
ENGINE = {{replicated}}ReplacingMergeTree
PRIMARY KEY (source, type, time)
ORDER BY (source, type, time, event, received_at)
TTL toDateTime(received_at) + toIntervalDay(400)
SETTINGS index_granularity = 512, primary_key_ratio_of_unique_prefix_values_to_skip_suffix_columns = 1
COMMENT 'Receipts of events, some twice until merges: count them with uniqExact(received_at) by event';

CREATE MATERIALIZED VIEW IF NOT EXISTS receipt_log_fill {{on_cluster}} TO receipt_log
AS SELECT source, type, time, sipHash64(id) AS event, received_at
FROM event_log;

INSERT INTO receipt_log (source, type, time, event, received_at)
SELECT source, type, time, sipHash64(id) AS event, received_at
FROM event_log
SETTINGS max_threads = 2, max_insert_threads = 1, max_block_size = 65409, min_insert_block_size_rows = 262144, min_insert_block_size_bytes = 67108864;
