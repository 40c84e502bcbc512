-- How a person is scored, and the acts that count most.
SELECT formatRow('JSONEachRow', *) AS line
FROM engagement
WHERE recipient_hash IN {hashes:Array(String)}
ORDER BY source
