-- The reference: all events of a day, counted once.
SELECT source, type, count() FROM event_log WHERE toDate(time) = (SELECT max(toDate(time)) - 1 FROM event_log) GROUP BY source, type FORMAT Null
