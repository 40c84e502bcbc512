-- Empties raw past its time. A column TTL would do nothing here: with
-- ttl_only_drop_parts the server drops whole parts and rewrites none for it.
ALTER TABLE event_log {{on_cluster}}
UPDATE raw = ''
WHERE received_at < fromUnixTimestamp64Milli({before:Int64}) AND raw != ''
SETTINGS mutations_sync = 0
