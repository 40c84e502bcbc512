-- Changes of tables that are not on disk yet.
SELECT table AS table, count() AS rows
FROM system.mutations
WHERE database = currentDatabase() AND NOT is_done
GROUP BY table
