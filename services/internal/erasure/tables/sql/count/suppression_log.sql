-- Records of the list, all versions, that name people by more than their hash.
SELECT count() AS rows
FROM suppression_log
WHERE recipient_hash IN {hashes:Array(String)}
  AND updated_at <= fromUnixTimestamp64Milli({until:Int64})
  AND updated_at > fromUnixTimestamp64Milli({since:Int64})
  AND (address != '' OR arrayExists(note -> note != '', arrayConcat(`entries.note`, `entries.removed_note`)))
