-- Person: what the list says of the address, its domain and its mailbox provider. Found by
-- the key.
SELECT recipient_hash, if(recipient_hash = {hash:String}, '', address) AS pattern, scope, reason, active, since, removed_at, expires_at, evidence, provider, source, note, removed_by, removed_note
FROM suppressions
WHERE recipient_hash IN {hashes:Array(String)}
ORDER BY active DESC, pattern, since DESC
LIMIT {limit:UInt32}
