-- Hash and reason stay, so that the person is not mailed again.
ALTER TABLE suppression_log {{on_cluster}}
UPDATE
    address = '',
    `entries.note` = arrayMap(note -> '', `entries.note`),
    `entries.removed_note` = arrayMap(note -> '', `entries.removed_note`)
WHERE recipient_hash IN {hashes:Array(String)}
  AND updated_at <= fromUnixTimestamp64Milli({until:Int64})
SETTINGS mutations_sync = 0
