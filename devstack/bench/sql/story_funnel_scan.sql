-- The reference: the same by all events.
SELECT uniqExact(message_id), uniqExactIf(message_id, type = 'delivered'), uniqExactIf(message_id, type = 'opened'), uniqExactIf(message_id, type = 'clicked')
FROM event_log WHERE campaign = '{{value}}' SETTINGS use_skip_indexes = 0
