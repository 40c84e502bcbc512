-- How long messages are kept, from the receipt of their latest event.
ALTER TABLE messages_state {{on_cluster}} MODIFY TTL received_at + toIntervalDay({{days}})
