-- Takes out what leads to the person and keeps the row, so that every count stays
-- the same. The same as store's event.blank does to events that are not stored yet.
ALTER TABLE event_log {{on_cluster}}
UPDATE
    provider_event_id = '', message_id = '', recipient = '', recipient_hash = '', tags = [], metadata = map(),
    subject = '', smtp_reply = '', url = '', ip = '', user_agent = '', raw = ''
WHERE recipient_hash IN {hashes:Array(String)}
  AND least(time, received_at) <= fromUnixTimestamp64Milli({until:Int64})
SETTINGS mutations_sync = 0
