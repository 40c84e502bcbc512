-- The database of all tables. Atomic, because materialized views that replace
-- their target and DROP without waiting need it, and the embedded engine's own
-- default is another.
CREATE DATABASE IF NOT EXISTS {{database}} {{on_cluster}} ENGINE = Atomic
