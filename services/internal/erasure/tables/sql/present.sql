-- Which of the tables this database has.
SELECT name AS table, toUInt64(1) AS rows
FROM system.tables
WHERE database = currentDatabase() AND name IN {tables:Array(String)}
