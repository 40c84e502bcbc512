-- Which of the settings an insert asks for this server knows. Asked once a
-- connection pool; a scan of one small system table.
SELECT name
FROM system.settings
WHERE name IN {names:Array(String)}
