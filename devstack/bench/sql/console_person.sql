-- A person who was written to.
SELECT recipient_hash FROM person_log LIMIT 1
