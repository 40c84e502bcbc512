-- Counts of 30 days by day and type. They end a day before {{value}}, so that what arrives
-- meanwhile changes no answer.
SELECT toDate(hour) AS day, type, sum(events) FROM rates_1h
WHERE hour >= toDateTime('{{value}}', 'UTC') - INTERVAL 30 DAY AND hour < toDateTime('{{value}}', 'UTC') - INTERVAL 1 DAY GROUP BY ALL ORDER BY ALL
