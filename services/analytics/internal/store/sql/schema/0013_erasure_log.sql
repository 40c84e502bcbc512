-- What became of each request to forget people: how many rows of which table, and
-- when. It holds no address and no hash.
CREATE TABLE IF NOT EXISTS erasure_log {{on_cluster}}
(
    request String COMMENT 'Id of the request, as mailstream forget said it',
    requested_at DateTime64(3, 'UTC') COMMENT 'Up to when the people are forgotten',
    reason String COMMENT 'What the operator wrote',
    people UInt32 COMMENT 'Recipient hashes of the request; a mailbox with two domains has two',
    rows Map(LowCardinality(String), UInt64) COMMENT 'Rows found, by table',
    left UInt64 COMMENT 'Rows that the latest look still found on disk: 0 is the proof',
    hidden_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When ClickHouse had every statement: views show nothing of them from then on',
    erased_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a look first found nothing on disk',
    verified_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a look found nothing after every insert of before had ended; NULL: not yet',
    updated_at DateTime64(3, 'UTC') COMMENT 'When this was written'
)
ENGINE = {{replicated}}ReplacingMergeTree(updated_at)
ORDER BY request
COMMENT 'Requests to forget people: query it with FINAL';
