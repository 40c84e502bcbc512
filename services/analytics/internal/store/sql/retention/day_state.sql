-- How long messages are kept by day: as long as in messages_state.
ALTER TABLE day_state {{on_cluster}} MODIFY TTL received_at + toIntervalDay({{days}})
