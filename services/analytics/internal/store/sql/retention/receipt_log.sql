-- How long receipts are kept: as long as events.
ALTER TABLE receipt_log {{on_cluster}} MODIFY TTL toDateTime(received_at) + toIntervalDay({{days}})
