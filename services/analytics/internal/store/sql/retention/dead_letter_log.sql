-- How long dead letters are kept, from when they were stored.
ALTER TABLE dead_letter_log {{on_cluster}} MODIFY TTL stored_at + toIntervalDay({{days}})
