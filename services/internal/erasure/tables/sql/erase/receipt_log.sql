-- Receipts of events of the person are deleted: the hash is their key.
ALTER TABLE receipt_log {{on_cluster}}
DELETE
WHERE recipient_hash IN {hashes:Array(String)}
  AND least(time, received_at) <= fromUnixTimestamp64Milli({until:Int64})
SETTINGS mutations_sync = 0
