-- Who looked at a person and who changed what, as records of the audit topic say it.
-- What is in the key is in the record, so that a repeat replaces its row.
CREATE TABLE IF NOT EXISTS audit_records {{on_cluster}}
(
    id String,
    time DateTime64(3, 'UTC'),
    by LowCardinality(String),
    role LowCardinality(String),
    action LowCardinality(String),
    object String,
    note String,
    stored_at DateTime DEFAULT now()
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (time, id)
TTL toDateTime(time) + toIntervalDay(400)
COMMENT 'Audit entries with repeats not yet merged away: query the view audit_log';

CREATE VIEW IF NOT EXISTS audit_log {{on_cluster}}
(
    id String COMMENT 'Of the entry',
    time DateTime64(3, 'UTC') COMMENT 'When it was written, before what it speaks of was done',
    by LowCardinality(String) COMMENT 'Who: the name that signed in, the user of the host of a command, or what a caller of an API says',
    role LowCardinality(String) COMMENT 'viewer, support, operator or admin in the console; command or api elsewhere',
    action LowCardinality(String) COMMENT 'What, such as person.view, suppression.lift or dead_letters.redrive',
    object String COMMENT 'Of whom or what: a recipient hash, an incident, a silence, an operation; never an address',
    note String COMMENT 'What the person wrote with it, without addresses'
)
AS SELECT id, time, by, role, action, object, note
FROM audit_records FINAL;
