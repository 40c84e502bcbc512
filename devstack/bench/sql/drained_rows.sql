-- How many rows are there, repeats included; asked fifty times a second, so from
-- the metadata of the parts.
SELECT total_rows
FROM system.tables
WHERE database = currentDatabase() AND name = 'event_log'
