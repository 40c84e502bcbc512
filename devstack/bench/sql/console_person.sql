-- People who were written to.
SELECT recipient_hash FROM person_log WHERE recipient_hash > 'a' LIMIT 1 BY recipient_hash LIMIT 3000
