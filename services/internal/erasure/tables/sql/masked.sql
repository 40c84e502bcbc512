-- Tables with parts in which rows are deleted and still on disk (DELETE FROM).
SELECT table AS table, count() AS rows
FROM system.parts
WHERE database = currentDatabase() AND active AND has_lightweight_delete AND table IN {tables:Array(String)}
GROUP BY table
