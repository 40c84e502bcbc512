-- The reference: one pass over all events of the five weeks.
SELECT source, campaign, type, count() FROM event_log GROUP BY source, campaign, type FORMAT Null
