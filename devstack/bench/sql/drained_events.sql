-- How many events are there, once at the end: nothing lost.
SELECT uniqExact(id)
FROM event_log
