-- What is applied already; some dozen rows.
SELECT version, checksum
FROM schema_migrations FINAL
ORDER BY version
