-- Events of a person.
SELECT formatRow('JSONEachRow', *) AS line
FROM events
WHERE recipient_hash IN {hashes:Array(String)}
ORDER BY time
