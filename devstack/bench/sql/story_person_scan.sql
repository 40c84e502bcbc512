-- The reference: the same by all events.
SELECT time, type, message_id FROM event_log FINAL WHERE recipient_hash = '{{value}}' ORDER BY ALL SETTINGS use_skip_indexes = 0
