-- The definitions of the tables whose retention is configurable, to see whether
-- it has changed.
SELECT name, create_table_query
FROM system.tables
WHERE database = currentDatabase() AND name IN ('event_log', 'person_log', 'receipt_log', 'messages_state', 'campaign_state', 'day_state', 'dead_letter_log', 'alert_log', 'audit_records')
