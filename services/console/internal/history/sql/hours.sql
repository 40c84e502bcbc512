-- The ledger of hours: which hours have events, the seal of those that were counted for
-- good and still hold, 0 of the others, and how many rows they have. Reads a row an hour.
SELECT r.hour AS hour, if(s.rows = r.rows, s.seal, 0) AS seal, r.rows AS rows, r.touched < now('UTC') - 60 AS quiet
FROM
(
    SELECT hour, sum(rows) AS rows, max(touched_at) AS touched
    FROM hour_rows
    WHERE hour >= toStartOfHour(toDateTime({from:DateTime64(3, 'UTC')}, 'UTC'))
    GROUP BY hour
) AS r
LEFT JOIN (SELECT hour, seal, rows FROM hour_seals FINAL) AS s ON s.hour = r.hour
ORDER BY hour
