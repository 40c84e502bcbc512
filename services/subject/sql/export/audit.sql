-- Who looked at a person and what was done about them, by role: the names of those who
-- did it are data of other people.
SELECT formatRow('JSONEachRow', time, role, action, note) AS line
FROM audit_log
WHERE object IN {hashes:Array(String)}
ORDER BY time
