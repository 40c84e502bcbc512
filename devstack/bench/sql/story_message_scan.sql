-- The reference: the same by all events.
SELECT time, type FROM event_log FINAL WHERE message_id = '{{value}}' ORDER BY ALL SETTINGS use_skip_indexes = 0
