-- Which migrations this database has. A version recorded twice, because two
-- programs migrated at once, collapses to one row.
CREATE TABLE IF NOT EXISTS schema_migrations {{on_cluster}}
(
    version UInt32 COMMENT 'Number of the file',
    name String COMMENT 'Name of the file',
    checksum String COMMENT 'SHA-256 of its text, hex',
    applied_at DateTime64(3, 'UTC') COMMENT 'When its last statement had succeeded'
)
ENGINE = {{replicated}}ReplacingMergeTree
ORDER BY version
COMMENT 'Applied migrations, written by mailstream migrate'
