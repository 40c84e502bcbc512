-- When each event of a person was received.
SELECT formatRow('JSONEachRow', *) AS line
FROM receipt_log FINAL
WHERE recipient_hash IN {hashes:Array(String)}
ORDER BY time, id, received_at
SETTINGS apply_mutations_on_fly = 1
