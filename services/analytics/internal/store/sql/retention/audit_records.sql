-- How long audit entries are kept, from when they were written.
ALTER TABLE audit_records {{on_cluster}} MODIFY TTL toDateTime(time) + toIntervalDay({{days}})
