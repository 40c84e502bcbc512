-- Which migrations the database has, asked at the start of the service: it waits
-- until those it was built with are there.
SELECT version
FROM schema_migrations FINAL
ORDER BY version
