-- Entries of the suppression list that are in force and rest on one of these bounces.
SELECT recipient_hash, address, scope, reason, since, evidence
FROM suppressions
WHERE recipient_hash IN {hashes:Array(String)} AND evidence IN {ids:Array(String)} AND active
ORDER BY recipient_hash, scope, reason
