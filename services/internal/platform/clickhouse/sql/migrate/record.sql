-- Notes a migration after its last statement.
INSERT INTO schema_migrations (version, name, checksum, applied_at)
SELECT {version:UInt32}, {name:String}, {checksum:String}, now64(3)
