-- The reference: all events counted, of which there are no repeats.
SELECT campaign, type, count() FROM event_log
WHERE time >= toDateTime('{{value}}', 'UTC') - INTERVAL 30 DAY AND time < toDateTime('{{value}}', 'UTC') - INTERVAL 1 DAY GROUP BY ALL ORDER BY ALL SETTINGS use_skip_indexes = 0
