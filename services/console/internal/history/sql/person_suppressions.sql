-- Person: what the list says. Found by the key.
SELECT recipient_hash, scope, reason, active, since, removed_at, expires_at, evidence, provider, source, note, removed_by, removed_note
FROM suppressions
WHERE recipient_hash = {hash:String}
ORDER BY active DESC, since DESC
LIMIT 100
