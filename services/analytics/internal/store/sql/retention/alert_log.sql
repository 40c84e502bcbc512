-- How long incidents are kept.
ALTER TABLE alert_log {{on_cluster}} MODIFY TTL toDateTime(updated_at) + toIntervalDay({{days}})
