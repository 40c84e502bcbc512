-- When the history begins, and how many events it has in the time that is played, by
-- the hour; repeats are among them.
SELECT minOrNull(hour) AS begins, sumIf(n, hour >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC') AND hour < toDateTime({to:DateTime64(3, 'UTC')}, 'UTC')) AS events
FROM
(
    SELECT hour, sum(rows) AS n FROM hour_rows WHERE hour >= toDateTime('2000-01-01 00:00:00', 'UTC') GROUP BY hour
)
