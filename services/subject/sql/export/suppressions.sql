-- Why a person is, or was, not mailed.
SELECT formatRow('JSONEachRow', *) AS line
FROM suppressions
WHERE recipient_hash IN {hashes:Array(String)}
ORDER BY updated_at
