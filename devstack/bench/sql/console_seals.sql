-- Makes the counts of console_counts.sql and console_dimensions.sql valid.
INSERT INTO hour_seals (hour, seal, rows, dimensions)
SELECT hour, toUnixTimestamp(hour), sum(rows), 1 FROM hour_rows GROUP BY hour
