-- How many events a person sees, asked every few milliseconds.
SELECT count()
FROM events
