-- The campaign of the weeks with the most messages, and one of its messages.
SELECT campaign, uniqExact(message_id), max(message_id) FROM event_log WHERE campaign LIKE 'news-%' GROUP BY campaign ORDER BY 2 DESC, 1 LIMIT 1
