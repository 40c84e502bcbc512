-- Messages of the person are deleted: message id and hash are their key.
ALTER TABLE messages_state {{on_cluster}}
DELETE
WHERE recipient_hash IN {hashes:Array(String)}
  AND least(first_event, toDateTime64(received_at, 3, 'UTC')) <= fromUnixTimestamp64Milli({until:Int64})
SETTINGS mutations_sync = 0
