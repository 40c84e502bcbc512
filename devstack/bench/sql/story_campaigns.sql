-- Counts of 30 days by campaign and type, which end a day before {{value}}.
SELECT value, type, sum(events) FROM rates_1h_by(dimension = 'campaign')
WHERE hour >= toDateTime('{{value}}', 'UTC') - INTERVAL 30 DAY AND hour < toDateTime('{{value}}', 'UTC') - INTERVAL 1 DAY GROUP BY ALL ORDER BY ALL
