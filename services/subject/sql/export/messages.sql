-- What became of each message to a person.
SELECT formatRow('JSONEachRow', *) AS line
FROM messages
WHERE recipient_hash IN {hashes:Array(String)}
ORDER BY first_event
