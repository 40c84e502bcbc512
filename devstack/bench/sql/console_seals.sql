-- Makes the counts of console_counts.sql valid.
INSERT INTO hour_seals (hour, seal, rows)
SELECT hour, toUnixTimestamp(hour), sum(rows) FROM hour_rows GROUP BY hour
