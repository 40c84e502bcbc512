-- How long events are kept, from receipt.
ALTER TABLE event_log {{on_cluster}} MODIFY TTL toDateTime(received_at) + toIntervalDay({{days}})
